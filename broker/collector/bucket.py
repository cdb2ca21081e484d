"""Clips and plates in a bucket instead of a folder: any S3, by the same names and with the same promises.

An object is whole or not there by S3's own word; a write has returned once it is durable. Credentials are
those of the environment (AWS_ACCESS_KEY_ID and so on), never of the configuration. Only importer of obstore.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from broker.collector.clips import ClipFolder


class BucketError(OSError):
    """The bucket cannot be reached or refuses; ``problems`` says why."""

    def __init__(self, problem: str) -> None:
        self.problems = (problem,)
        super().__init__(problem)


class ClipBucket(ClipFolder):
    """``s3://bucket/prefix``: objects ``{prefix}/{first two digits}/{hash}.json``.

    Args:
        endpoint: of an S3 that is not Amazon's, such as ``http://127.0.0.1:9000``.

    Raises:
        BucketError: obstore is not installed, or no bucket is named.
    """

    def __init__(self, url: str, *, endpoint: str | None = None, region: str | None = None) -> None:
        try:
            from obstore.store import S3Store
        except ModuleNotFoundError as error:
            raise BucketError(f"{url}: pip install 'nearmiss[s3]' ({error})") from error
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise BucketError(f"{url}: expected s3://BUCKET or s3://BUCKET/PREFIX")
        self.url, self._prefix = url, parts.path.strip("/")
        self._store = S3Store(
            parts.netloc,
            region=region or "us-east-1",
            virtual_hosted_style_request=False,
            client_options={"allow_http": endpoint is not None and endpoint.startswith("http://")},
            retry_config={"max_retries": 2},
            config={"endpoint": endpoint} if endpoint else {},
        )

    def path(self, hash_: str) -> Path:
        """Return the object's name; it is no file of this machine."""
        return Path(self._prefix, hash_[:2], f"{hash_}.json")

    def write(self, payload: bytes) -> str:
        hash_ = hashlib.sha256(payload).hexdigest()
        self._do("put", str(self.path(hash_)), payload)
        return hash_

    def read(self, hash_: str) -> bytes | None:
        found = self._do("get", str(self.path(hash_)))
        return None if found is None else bytes(found.bytes())

    def delete(self, hash_: str) -> bool:
        name = str(self.path(hash_))
        if self._do("head", name) is None:
            return False
        self._do("delete", name)
        return True

    def hashes(self) -> set[str]:
        return set(self._listed())

    def older_than(self, time_s: int) -> set[str]:
        return {hash_ for hash_, written_s in self._listed().items() if written_s < time_s}

    def sweep_parts(self) -> int:
        return 0  # a bucket has no half objects

    def _listed(self) -> dict[str, float]:
        import obstore
        from obstore.exceptions import BaseError

        found: dict[str, float] = {}
        try:
            for page in obstore.list(self._store, prefix=self._prefix or None):
                for entry in page:
                    name = Path(entry["path"])
                    if name.suffix == ".json":
                        found[name.stem] = entry["last_modified"].timestamp()
        except BaseError as error:
            raise BucketError(f"{self.url}: {_line(error)}") from error
        return found

    def _do(self, what: str, *arguments: object) -> Any:
        """Ask the bucket; None where the object is not there."""
        import obstore
        from obstore.exceptions import BaseError, NotFoundError

        try:
            return getattr(obstore, what)(self._store, *arguments)
        except (NotFoundError, FileNotFoundError):
            return None
        except BaseError as error:
            raise BucketError(f"{self.url}: {_line(error)}") from error


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
