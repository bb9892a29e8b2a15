"""The chat templates that a client knows without being given one."""

from router.prompt.chat_template import ChatTemplate


def built_in_template(model: str) -> ChatTemplate | None:
    """The template of the built-in model, where that is the one of this name."""
    # Not at the top: a client of other models needs none of it.
    from serving.models import BUILT_IN, BUILT_IN_NAME  # noqa: PLC0415

    known = {BUILT_IN_NAME, BUILT_IN.name, str(BUILT_IN)}
    return ChatTemplate.load(BUILT_IN) if model in known else None
