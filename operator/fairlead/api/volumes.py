"""The volumes that pods of Fairlead may not have, a part of the table in `pod_security`."""

from typing import Any, ClassVar

from pydantic import Field

from fairlead.api.base import OpenModel, Rule
from fairlead.api.pod_security import UNTYPED, absent, get_field


class ProjectedSource(OpenModel):
    """A source of a projected volume."""

    cel: ClassVar[tuple[Rule, ...]] = (absent("serviceAccountToken", "pods do not access the API server"),)

    service_account_token: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""


class Projected(OpenModel):
    """A projected volume."""

    sources: list[ProjectedSource] | None = Field(None, max_length=32)
    """Its sources."""


_DENIED_VOLUMES = (
    "hostPath", "nfs", "iscsi", "cephfs", "rbd", "glusterfs", "fc", "flexVolume", "flocker", "gitRepo", "quobyte",
    "scaleIO", "storageos", "azureDisk", "azureFile", "awsElasticBlockStore", "gcePersistentDisk", "cinder",
    "photonPersistentDisk", "portworxVolume", "vsphereVolume",
)  # fmt: skip
"""The volume types that `restricted` does not allow."""


class Volume(OpenModel):
    """A volume. Only the fields that Fairlead validates are declared."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            " && ".join(f"!has(self.{field})" for field in _DENIED_VOLUMES),
            "hostPath and other volumes outside of the level restricted are not allowed; use a PersistentVolumeClaim",
            lambda volume: all(get_field(volume, field) is None for field in _DENIED_VOLUMES),
        ),
    )

    name: str = Field(max_length=63)
    """The name of the volume, unique in the pod."""
    projected: Projected | None = None
    """Secrets, ConfigMaps and fields of the pod in one folder."""
    host_path: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed, because it would expose the node's files."""
    nfs: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
    iscsi: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
    cephfs: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
    rbd: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
    glusterfs: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
    fc: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
    flex_volume: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
    flocker: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
    git_repo: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
    quobyte: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
    scale_io: dict[str, Any] | None = Field(None, alias="scaleIO", json_schema_extra=UNTYPED)
    """Not allowed."""
    storageos: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
    azure_disk: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
    azure_file: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
    aws_elastic_block_store: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
    gce_persistent_disk: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
    cinder: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
    photon_persistent_disk: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
    portworx_volume: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
    vsphere_volume: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Not allowed."""
