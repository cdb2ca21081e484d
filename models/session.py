"""A session of ONNX Runtime: how it is set, and that the provider asked for is the one that computes."""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import dataclass
from typing import Literal

import onnxruntime

from models.card import ModelError

logger = logging.getLogger(__name__)

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    # The same, computing in bfloat16 where the processor can: half the bits, as wide a range.
    "openvino-bf16": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "rocm": "ROCMExecutionProvider",
}
CPU = PROVIDERS["cpu"]
_LEVELS = onnxruntime.GraphOptimizationLevel
_OPTIMISATION = {
    "off": _LEVELS.ORT_DISABLE_ALL,
    "basic": _LEVELS.ORT_ENABLE_BASIC,
    "extended": _LEVELS.ORT_ENABLE_EXTENDED,
    "all": _LEVELS.ORT_ENABLE_ALL,
}


@dataclass(frozen=True)
class Runtime:
    """How ONNX Runtime is set; a node leaves a core to what runs beside the detector, so it does not spin.

    Attributes:
        spinning: its threads wait by spinning. A spinning pool takes the core that decoding and redaction
            beside it need, though alone it is faster.
        optimisation: of the graph.
        arena: memory is kept between runs; without it less of it is held and each run asks anew.
    """

    spinning: bool = False
    optimisation: Literal["off", "basic", "extended", "all"] = "all"
    arena: bool = True


def session_of(
    weights: bytes, *, origin: str, provider: str | None, threads: int | None, runtime: Runtime
) -> onnxruntime.InferenceSession:
    """Return a session that computes on the provider asked for, and on no other in its place.

    Raises:
        ModelError: the file or the provider cannot be used.
    """
    wanted = CPU if provider is None else PROVIDERS.get(provider.lower(), provider)
    available = onnxruntime.get_available_providers()
    if wanted not in available:
        raise ModelError(
            f"provider {wanted} is not in this ONNX Runtime {onnxruntime.__version__}; "
            f"it has {', '.join(available)}"
        )
    how = options_of(provider, threads=threads)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = _OPTIMISATION[runtime.optimisation]
    options.enable_cpu_mem_arena = runtime.arena
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if runtime.spinning else "0")
    if wanted != CPU:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is checked below, as an error
            session = onnxruntime.InferenceSession(
                weights, options, providers=[(wanted, how)], disable_fallback=1
            )
    except Exception as error:  # ONNX Runtime's exceptions share no base but Exception
        raise ModelError(f"{origin}: ONNX Runtime cannot load it on {wanted}: {first_line(error)}") from error
    session.disable_fallback()
    active = session.get_providers()[0]
    if active != wanted:
        raise ModelError(f"provider {wanted} did not start on this machine; ONNX Runtime would use {active}")
    if wanted != CPU:
        _refuse_idle_provider(session, wanted)
    return session


def options_of(provider: str | None, *, threads: int | None) -> dict[str, str]:
    """Return the options of a provider of its own: OpenVINO takes no notice of a session's threads."""
    name = (provider or "cpu").lower()
    if PROVIDERS.get(name, provider) != PROVIDERS["openvino"]:
        return {}
    how = {"num_of_threads": str(threads)} if threads else {}
    if name == "openvino-bf16":
        how["load_config"] = json.dumps({"CPU": {"INFERENCE_PRECISION_HINT": "bf16"}})
    return how


def _refuse_idle_provider(session: onnxruntime.InferenceSession, wanted: str) -> None:
    """Refuse a provider that starts and takes no node: everything would silently run on the CPU."""
    report = getattr(session, "get_provider_graph_assignment_info", None)
    if report is None:  # ONNX Runtime before it could tell: what it says it uses is all there is
        return
    nodes = [len(part.get_nodes()) for part in report() if part.ep_name == wanted]
    total = sum(len(part.get_nodes()) for part in report())
    if sum(nodes) == 0:
        raise ModelError(
            f"provider {wanted} started but computes none of the model's {total} nodes; "
            f"everything would run on {CPU}"
        )
    if sum(nodes) < total:
        logger.info("%s computes %d of %d nodes, %s the rest", wanted, sum(nodes), total, CPU)


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
