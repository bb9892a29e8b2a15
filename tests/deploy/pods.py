"""The pods that rendered objects would make, whoever makes them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pod:
    """A pod template, and the object that it is of."""

    owner: str
    labels: dict
    spec: dict
    claims: tuple = ()  # names of volumes that each pod gets one of its own of

    @property
    def containers(self):
        """All of them, those that run first included."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]


def pods(things):
    """The pods of a list of objects."""
    found = []
    for thing in things:
        name, spec = f"{thing['kind']} {thing['metadata']['name']}", thing.get("spec", {})
        if thing["kind"] == "RayService":
            cluster = spec["rayClusterConfig"]
            found.append(_pod(f"{name} head", cluster["headGroupSpec"]["template"]))
            found += [
                _pod(f"{name} {group['groupName']}", group["template"])
                for group in cluster["workerGroupSpecs"]
            ]
        elif "template" in spec:
            claims = [one["metadata"]["name"] for one in spec.get("volumeClaimTemplates", ())]
            found.append(_pod(name, spec["template"], claims))
    return found


def of_kind(things, kind):
    """The objects of a kind."""
    return [thing for thing in things if thing["kind"] == kind]


def selected(labels, selector):
    """Whether a selector of labels means these."""
    return selector.items() <= labels.items()


def _pod(owner, template, claims=()):
    return Pod(owner, template["metadata"]["labels"], template["spec"], tuple(claims))
