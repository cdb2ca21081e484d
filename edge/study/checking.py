"""What must hold before the first frame of a study: site, signals, model, engine and folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import InputError
from edge.results import folder_problem
from edge.study.engines import ENGINES
from edge.study.work import Settings

if TYPE_CHECKING:
    from calibration.site import Site

CLIPS = ("schematic", "none")


def checked(settings: Settings, out: Path, *, engine: str, address: str | None) -> Site:
    """Return the site of a study whose inputs can be used.

    Raises:
        InputError: every mistake of all of them.
    """
    from calibration.lint import load_sound_site
    from calibration.plane import plane_of
    from edge.signals.sources import sources_of
    from models.zoo import load

    problems: list[str] = []

    def tried(make: Callable[[], object], where: str = "") -> None:
        try:
            make()
        except ValueError as error:
            problems.extend(getattr(error, "problems", None) or [f"{where}{error}"])

    problem = folder_problem(out)
    problems += [problem] if problem else []
    if engine not in ENGINES:
        problems.append(f"--engine: {engine!r} is not one of {', '.join(ENGINES)}")
    elif address is not None and engine != "ray":
        problems.append("--address belongs to --engine ray")
    if settings.clips not in CLIPS:
        problems.append(f"--clips: {settings.clips!r} is not one of {', '.join(CLIPS)}")
    try:
        import duckdb  # noqa: F401
    except ImportError:
        problems.append("results are written as Parquet: pip install 'nearmiss[parquet]'")
    site: Site | None = None
    try:
        site = load_sound_site(settings.site)
    except ValueError as error:
        problems += getattr(error, "problems", None) or [str(error)]
    if site is not None:
        if site.ground_plane is None:
            problems.append(
                f"{settings.site}: ground_plane: missing, and recordings need it to turn pixels into metres: "
                f"`nearmiss calibrate VIDEO --site {settings.site}` makes one"
            )
        else:
            tried(lambda: plane_of(site), f"{settings.site}: ground_plane: ")
        tried(lambda: sources_of(site, settings.signals, start_time=0.0, lamps=True))
    if settings.model == "motion":
        if settings.provider is not None:
            problems.append(f"--provider {settings.provider}: motion runs no network, leave it away")
    else:
        tried(lambda: load(settings.model, provider=settings.provider, threads=settings.threads))
    if problems or site is None:
        raise InputError(problems)
    return site
