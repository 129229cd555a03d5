#!/usr/bin/env python3
"""Writes helm/tests/schemas, with which kubeconform validates the rendered manifests without a network.

    vendor-schemas.py SWAGGER [CRD.yaml ...]

SWAGGER is the description of a cluster (`kubectl get --raw /openapi/v2`) or `api/openapi-spec/swagger.json` of the Go module
k8s.io/kubernetes; the CRDs are files of the Go modules github.com/prometheus-operator/prometheus-operator and
sigs.k8s.io/gateway-api. Only the kinds that the chart renders are kept, without their descriptions. An undescribed field is
rejected, as by the API server with strict validation.
"""

import json
import pathlib
import sys

KINDS = [
    ("", "v1", "ConfigMap"),
    ("", "v1", "Namespace"),
    ("", "v1", "PersistentVolumeClaim"),
    ("", "v1", "Pod"),
    ("", "v1", "Secret"),
    ("", "v1", "Service"),
    ("", "v1", "ServiceAccount"),
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding"),
    ("apps", "v1", "Deployment"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler"),
    ("batch", "v1", "CronJob"),
    ("batch", "v1", "Job"),
    ("networking.k8s.io", "v1", "Ingress"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
    ("policy", "v1", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io", "v1", "Role"),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding"),
]
CUSTOM_KINDS = {"HTTPRoute", "PodMonitor", "PrometheusRule"}
OUT = pathlib.Path(__file__).parent / "schemas"
PREFIX = "#/definitions/"


def strict(schema, is_root=False):
    """The schema without prose and extensions, closed to fields that it does not describe."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return {"type": ["string", "integer"]}
    kept = {}
    for key, part in schema.items():
        if key in ("description", "default", "example") or key.startswith("x-kubernetes-"):
            continue
        # A property may be called `description`: its name is no keyword.
        kept[key] = {name: strict(each) for name, each in part.items()} if key == "properties" else strict(part)
    is_closed = "properties" in kept and "additionalProperties" not in kept
    if is_closed and not schema.get("x-kubernetes-preserve-unknown-fields"):
        kept["additionalProperties"] = False
    # Go's formats say what the types say already, and JSON Schema knows none of them.
    if kept.get("format") in ("int32", "int64", "double", "byte"):
        del kept["format"]
    # Absent and null are the same to Kubernetes.
    if not is_root and isinstance(kept.get("type"), str):
        kept["type"] = [kept["type"], "null"]
    return kept


def references(schema):
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].removeprefix(PREFIX)
        for part in schema.values():
            yield from references(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from references(part)


def with_definitions(root, definitions):
    """A self-contained schema, with all definitions that it references."""
    needed, queue = {}, list(references(root))
    while queue:
        name = queue.pop()
        if name not in needed:
            needed[name] = strict(definitions[name])
            queue.extend(references(needed[name]))
    return {**root, "definitions": dict(sorted(needed.items()))}


def write(group, version, kind, schema):
    path = OUT / f"{kind.lower()}-{group.split('.')[0] + '-' if group else ''}{version}.json"
    path.write_text(json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n")
    print(path, path.stat().st_size)


def main(swagger, crds):
    OUT.mkdir(exist_ok=True)
    definitions = json.loads(pathlib.Path(swagger).read_text())["definitions"]
    by_kind = {}
    for schema in definitions.values():
        for name in schema.get("x-kubernetes-group-version-kind", []):
            by_kind[(name["group"], name["version"], name["kind"])] = schema
    for name in KINDS:
        write(*name, with_definitions(strict(by_kind[name], is_root=True), definitions))
    # Only custom kinds need PyYAML.
    if crds:
        import yaml
    for path in crds:
        for crd in yaml.safe_load_all(pathlib.Path(path).read_text()):
            if not crd or crd.get("kind") != "CustomResourceDefinition" or crd["spec"]["names"]["kind"] not in CUSTOM_KINDS:
                continue
            for version in crd["spec"]["versions"]:
                if version["name"] == "v1":
                    schema = strict(version["schema"]["openAPIV3Schema"], is_root=True)
                    schema["properties"]["metadata"] = {"type": "object"}
                    write(crd["spec"]["group"], version["name"], crd["spec"]["names"]["kind"], schema)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
