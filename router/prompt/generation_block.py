"""The block with which some chat templates mark what a model has said, for those who train it."""

from jinja2.ext import Extension
from jinja2.nodes import Node
from jinja2.parser import Parser


class GenerationBlock(Extension):
    """`{% generation %}...{% endgeneration %}` is what stands in it."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Parser) -> list[Node]:
        """See jinja2.ext.Extension."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)
