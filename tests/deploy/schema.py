"""What Kubernetes, and the operators beside it, would say of an object's fields.

Kubernetes's own schemas come with the package kubernetes-validate, those of other kinds lie in
schemas/. All are strict: a field that nobody knows is a mistake.
"""

import functools
import json
from importlib.resources import files
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

OLDEST, NEWEST = "1.30", "1.37"
"""Of Kubernetes: what the charts say they need, and what is there now."""

DEFINITIONS = "https://kubernetes.io/api/_definitions.json"
SCHEMAS = Path(__file__).parent / "schemas"
TYPES = {
    "PodTemplate": "io.k8s.api.core.v1.PodTemplateSpec",
    "ResourceRequirements": "io.k8s.api.core.v1.ResourceRequirements",
    "SecurityContext": "io.k8s.api.core.v1.SecurityContext",
    "LabelSelector": "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector",
}


def problems(thing, version):
    """What is wrong with an object, a line each, by the schemas of this version of Kubernetes."""
    group = thing["apiVersion"].partition("/")[0]
    if ("." in group and not group.endswith(".k8s.io")) or group.startswith("gateway."):
        schema = _custom(thing["kind"])
    else:
        schema = _own(thing["kind"], thing["apiVersion"], version)
    validator = Draft202012Validator(schema, registry=_registry(version))
    return [
        f"{thing['kind']} {thing['metadata']['name']}: {'.'.join(map(str, error.path))}: "
        f"{error.message[:300]}"
        for error in validator.iter_errors(thing)
    ]


def custom_kinds():
    """The kinds of which schemas/ has a schema."""
    return sorted(
        kind for path in SCHEMAS.glob("*.yaml") for kind in _read(path) if kind != "$defs"
    )


def _folder(version):
    return files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"


@functools.cache
def _registry(version):
    definitions = json.loads((_folder(version) / "_definitions.json").read_text())
    return Resource.from_contents(definitions) @ Registry()


@functools.cache
def _own(kind, api_version, version):
    group, _, api = api_version.rpartition("/")
    name = "-".join(part for part in (kind.lower(), group.partition(".")[0], api) if part)
    return json.loads((_folder(version) / f"{name}.json").read_text())


@functools.cache
def _custom(kind):
    [found] = [content for path in SCHEMAS.glob("*.yaml") if kind in (content := _read(path))]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": found[kind]["apiVersion"]},
            "kind": {"const": kind},
            "metadata": {
                "$ref": f"{DEFINITIONS}#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
            },
            "spec": _with_types(found[kind]["spec"]),
        },
        "$defs": _with_types(found.get("$defs", {})),
    }


@functools.cache
def _read(path):
    return yaml.safe_load(path.read_text())


def _with_types(schema):
    """`x-kubernetes: PodTemplate` is what Kubernetes itself calls by that name."""
    if isinstance(schema, list):
        return [_with_types(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "x-kubernetes" in schema:
        return {"$ref": f"{DEFINITIONS}#/$defs/{TYPES[schema['x-kubernetes']]}"}
    return {key: _with_types(value) for key, value in schema.items()}
