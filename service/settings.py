"""Settings: the only reader of the environment.

Every field is an environment variable ``WHICHONE_<FIELD>``; its description is what ``docs/settings.md`` and
``whichone serve --help`` show. A variable with the prefix that is not a setting stops the program. Secrets may lie in
files (``service.secret_files``).
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from index.pipeline import Adaptation, Pipeline, Switch, Verification, VerifierName
from service.errors import FieldInvalid, InvalidSetting, UnknownSetting
from service.rates import Rate
from service.secret_files import SUFFIX, read_secrets

__all__ = ["PREFIX", "Settings", "settings_markdown"]

PREFIX = "WHICHONE_"
Count = Annotated[int, Field(ge=1)]

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")

_COSTLY_PAIRS = {"photos": 6, "budget_ms": 20_000.0}
"""LightGlue takes up to half a second a pair on one core: fewer photos are looked at, but all of them: an answer that
was cut short could differ the next time."""


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _slots() -> int:
    """One more than cores: a photo's thread stands still at times, while others hold Python's lock or its answer is
    handed on."""
    return _cores() + 1


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


class Settings(BaseSettings):
    """All settings of server and command. Immutable; hand it on, never read the environment elsewhere."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    data: Path = Field(
        Path("whichone-data"), description="Folder for the database, the photos and the index generations."
    )
    host: str = Field(
        "127.0.0.1", description="Address to listen on. On a loopback address POST /recognize and reading need no key."
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one and prints it.")
    workers: Count = Field(1, description="Server processes. They share the database and agree on every answer.")
    admin_key: SecretStr | None = Field(
        None,
        description="The first admin key (8 characters or more). Unset: one is made at first start and printed once. "
        "Changing it revokes the key that this variable set before.",
    )
    database_url: SecretStr | None = Field(
        None,
        description="postgresql://user:password@host/name; its processes still share the data folder. "
        "Unset: SQLite (whichone.db) in the data folder.",
    )
    rate_limit: str | None = Field(
        None,
        description="Requests that each key without a rate of its own, and each address without a key, may make: "
        "600/min (or /s, /h, /d). Further ones are answered 429. Every worker process counts for itself. Unset: no "
        "limit.",
    )
    cors_origins: str | None = Field(
        None,
        description="Origins of web pages that may call the server from a browser, with commas: "
        "https://shop.example,https://admin.example; or * for any, not on a loopback address, where reading needs no "
        "key. Unset: none.",
    )
    open_recognize: bool = Field(False, description="Let anyone call POST /recognize without a key, on any address.")
    console: bool = Field(
        True,
        description="Whether the server has web pages, at /console/. They hold nothing: what they show and do, they "
        "ask for with the key of who looks at them.",
    )
    far_budget: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="Share of photos of unknown things that may be called known; sets each new gallery's threshold.",
    )
    unknown_share: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of questions that show nothing of the gallery, as far as that is known: 0.1 where nearly "
        "all who ask hold a known thing. Confidences are right for that share. Takes effect as WHICHONE_ADAPTATION "
        "does, in galleries that were not told their own (`POST /galleries/NAME/calibrate`). Unset: the share among "
        "labelled queries (`whichone feedback`), and one half without any.",
    )
    adaptation: Switch = Field(
        "auto",
        description="Whether comparing is adapted to each gallery: on, off, or auto, which asks the gallery's own "
        "photos. A change takes effect with a gallery's next calibration, which a server does at its start.",
    )
    verification: Switch = Field(
        "auto",
        description="Whether candidates are verified by local features (a printed or rough surface has some): on, off, "
        "or auto, which asks the gallery's own photos. Takes effect as WHICHONE_ADAPTATION does; photos added while it "
        "was off have no such features before `whichone index refresh`.",
    )
    keep_generations: int = Field(
        5,
        ge=2,
        description="Generations of a gallery that stay on disk to roll back to, with the one in use; older ones are "
        "deleted when a new one is published.",
    )
    merge_after: int = Field(
        20_000,
        ge=0,
        description="Changes to a gallery after which a server takes them into a new generation of the same engine, in "
        "the background: so many, or a tenth of its photos if that is more. Only where there is a generation, and none "
        "since a rollback. 0: never.",
    )
    verifier: VerifierName = Field(
        "rootsift",
        description="Whose local features: rootsift, or one that runs a network on the device below and needs "
        "WHICHONE_LOCAL_FEATURES: aliked, aliked-lightglue, disk, disk-lightglue, hardnet, hessaffnet, xfeat, "
        "xfeat-lightglue. After a change, `whichone index refresh` extracts the features of a gallery anew.",
    )
    local_features: Path | None = Field(
        None,
        description="Folder that holds the networks of verifiers, each in a folder of its name, as "
        "`whichone export-local-features` writes them. rootsift needs none.",
    )
    milvus_uri: SecretStr | None = Field(
        None,
        description="Where engine milvus finds its server: http://host:19530, /NAME behind it for a database other "
        "than the default one; or a file ending in .db, for milvus-lite in this process alone. Unset: galleries of "
        "that engine cannot be opened.",
    )
    milvus_token: SecretStr | None = Field(None, description="user:password or API key for the Milvus server.")
    bundle: Path | None = Field(
        None, description="Folder of the model bundle. Unset: the one that ships with Whichone."
    )
    device: Literal["cpu", "cuda"] = Field(
        "cpu", description="Where the model runs: cpu or cuda. cuda that is not there stops the server."
    )
    threads: Count = Field(
        default_factory=_cores,
        description="Threads of the model on the CPU for a photo that no other is beside; those side by side have one "
        "each. Unset: one a core.",
    )
    concurrency: Count = Field(
        default_factory=_slots,
        description="Photo requests decoded and embedded at a time; bounds memory. Unset: one a core, and one more.",
    )
    max_waiting: Count = Field(
        64, description="Photo requests in work or waiting; further ones are answered 503 at once."
    )
    deadline: float = Field(
        10.0,
        gt=0,
        description="Seconds that a photo to recognise may wait for its turn; then it is answered 503, and not worked "
        "on. A client that goes away leaves the queue at once.",
    )
    max_image_bytes: Count = Field(20 * 2**20, description="Largest photo file, in bytes.")
    max_pixels: Count = Field(64_000_000, description="Largest photo, in pixels (width times height).")
    max_images_per_request: Count = Field(32, description="Photos in one POST /index or POST /recognize/batch.")
    max_request_bytes: Count = Field(64 * 2**20, description="Largest request body, in bytes, however it is sent.")
    max_metadata_bytes: Count = Field(16 * 2**10, description="Largest `metadata` of an item, in bytes of JSON.")
    import_root: Path | None = Field(
        None,
        description="Folder beneath which POST /index/import may be told to import folders and CSVs. Unset: it takes "
        "archives alone.",
    )
    max_import_bytes: Count = Field(
        2**30, description="Largest archive of POST /index/import, in bytes; unpacked it may have four times as many."
    )
    run_jobs: bool = Field(
        True, description="Whether servers work on imports. If not, `whichone worker` does, on the same data folder."
    )
    job_lease: float = Field(
        15.0,
        ge=1,
        description="Seconds after which another process takes over an import whose process is gone.",
    )
    keep_queries: float = Field(
        0.0,
        ge=0,
        le=8784,
        description="Hours that questions are kept, as embeddings without their photos, so that POST /feedback can "
        "judge an answer by its id. 0: not at all; photos can be sent to it in any case.",
    )
    body_timeout: float = Field(
        30.0, gt=0, description="Seconds without a byte after which a request's body is given up."
    )
    log_format: Literal["json", "console"] = Field(
        "console", description="Log lines for machines (json) or for people (console)."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    traces: SecretStr | None = Field(
        None,
        description="Where OpenTelemetry traces are sent to by OTLP over HTTP: http://collector:4318, or with the "
        "path where it is another than /v1/traces. Needs the extra `tracing`. Unset: nothing is traced.",
    )
    shutdown_notice: float = Field(
        0.0,
        ge=0,
        le=600,
        description="Seconds between SIGTERM and the end: /readyz answers 503 meanwhile, all else is answered as ever.",
    )

    @field_validator("admin_key")
    @classmethod
    def _long_enough(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < 8:
            raise ValueError("an admin key has 8 characters or more")
        return key

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: SecretStr | None) -> SecretStr | None:
        schemes = ("postgresql://", "postgres://", "postgresql+psycopg://")
        if url is not None and not url.get_secret_value().startswith(schemes):
            raise ValueError("a database URL starts with postgresql://")
        return url

    @field_validator("rate_limit")
    @classmethod
    def _known_rate(cls, text: str | None) -> str | None:
        try:
            return None if text is None else str(Rate.parse(text))
        except FieldInvalid as error:
            raise ValueError(error.message) from error

    @field_validator("cors_origins")
    @classmethod
    def _known_origins(cls, text: str | None) -> str | None:
        for origin in _listed(text):
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"an origin is written like https://shop.example, without a path; got {origin[:60]!r}")
        return text

    @model_validator(mode="after")
    def _closed_on_loopback(self) -> Self:
        if self.on_loopback and "*" in self.origins:
            raise InvalidSetting(
                "WHICHONE_CORS_ORIGINS cannot be * on a loopback address: any web page could read the galleries of who "
                "looks at it; name the origins, or another WHICHONE_HOST",
                setting="WHICHONE_CORS_ORIGINS",
            )
        return self

    @field_validator("traces")
    @classmethod
    def _collector(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("the address of a collector starts with http:// or https://")
        return url

    @field_validator("milvus_uri")
    @classmethod
    def _known_server(cls, uri: SecretStr | None) -> SecretStr | None:
        if uri is not None:
            text = uri.get_secret_value()
            if not text.startswith(("http://", "https://", "tcp://")) and not text.endswith(".db"):
                raise ValueError("an address of Milvus starts with http://, https:// or tcp://, a file ends with .db")
        return uri

    @classmethod
    def secrets(cls) -> list[str]:
        """Fields that hold a secret; each may also be given as the path of a file that holds it."""
        return [name for name, field in cls.model_fields.items() if field.annotation == SecretStr | None]

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> Self:
        """Settings of the environment, with `overrides` on top (those that are None count as not given).

        Raises:
            UnknownSetting: a WHICHONE_ variable that is no setting; names the nearest that is.
            InvalidSetting: a value that cannot be used, or a secret's file; names the variable.
        """
        environ = os.environ if environ is None else environ
        cls._refuse_unknown(environ)
        files = read_secrets(environ, (PREFIX + field.upper() for field in cls.secrets()))
        secrets = {variable.removeprefix(PREFIX).lower(): secret for variable, secret in files.items()}
        try:
            return cls(**secrets | {name: value for name, value in overrides.items() if value is not None})
        except ValidationError as error:
            first = error.errors()[0]
            name = PREFIX + str(first["loc"][0]).upper().removeprefix(PREFIX)
            message = f"{name} cannot be used: {first['msg'].removeprefix('Value error, ')}"
            raise InvalidSetting(message, setting=name) from None

    @classmethod
    def _refuse_unknown(cls, environ: Mapping[str, str]) -> None:
        known = [PREFIX + field.upper() for field in cls.model_fields]
        known += [PREFIX + field.upper() + SUFFIX for field in cls.secrets()]
        for name in sorted(environ):
            if name.upper().startswith(PREFIX) and name.upper() not in known:
                nearest = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.0)[0]
                message = f"{name} is not a setting; did you mean {nearest}? `whichone serve --help` lists them all"
                raise UnknownSetting(message, setting=name, nearest=nearest)

    @property
    def pipeline(self) -> Pipeline:
        """What is between an embedding and a verdict."""
        costly = _COSTLY_PAIRS if self.verifier.endswith("-lightglue") else {}
        return Pipeline(
            adaptation=Adaptation(wccn=self.adaptation),
            verification=Verification.model_validate({"mode": self.verification, "verifier": self.verifier, **costly}),
            unknown_share=self.unknown_share,
        )

    @property
    def rate(self) -> Rate | None:
        """`rate_limit`, read."""
        return None if self.rate_limit is None else Rate.parse(self.rate_limit)

    @property
    def origins(self) -> tuple[str, ...]:
        """`cors_origins`, one by one."""
        return _listed(self.cors_origins)

    @property
    def on_loopback(self) -> bool:
        """True when only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def settings_markdown() -> str:
    """The table of `docs/settings.md`, made from the fields, so that it cannot go stale."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        unset = field.is_required() or field.default_factory is not None or field.default is None
        default = "unset" if unset else f"`{field.default}`"
        rows.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows) + "\n"
