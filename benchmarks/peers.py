"""The peers. Each imports its own library alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from worker import Refused, data

Contest = tuple[Callable[[], Any], Callable[[Any], Any]]


def converted(case: dict[str, Any], suffix: str) -> str:
    """The file that the converter made."""
    path = f"{case['stem']}{suffix}"
    if not Path(path).exists():
        raise Refused("the converter (torch, onnx, pnnx) did not make its file")
    return path


def images_of(case: dict[str, Any]) -> np.ndarray:
    """The images as [n, c, h, w]."""
    return np.ascontiguousarray(data(case)[0].transpose(0, 3, 1, 2))


def converter(case: dict[str, Any]) -> Contest:
    """Not a contestant: writes the network for those that read files."""
    import networks
    import torch

    net = networks.build(case["network"], case["weights"]).eval()
    x = torch.from_numpy(images_of(case))
    torch.onnx.export(
        net, (x,), f"{case['stem']}.onnx", dynamo=False, input_names=["x"],
        output_names=["y"],
    )  # fmt: skip
    if case["batch"] == 1:
        try:
            import pnnx
        except ImportError:
            return lambda: 0, lambda found: found
        networks.Padded.pooled = True
        whole = torch.nn.Sequential(OrderedDict(net=net))
        pnnx.export(whole, f"{case['stem']}.pt", (x,), fp16=False)
    return lambda: 0, lambda found: found


def torch_nchw(case: dict[str, Any]) -> Contest:
    """As people write it."""
    return torch_any(case, nhwc=False, compiled=False)


def torch_nhwc(case: dict[str, Any]) -> Contest:
    """With channels last."""
    return torch_any(case, nhwc=True, compiled=False)


def torch_compile(case: dict[str, Any]) -> Contest:
    """Compiled, with channels last; for inference with frozen parameters."""
    return torch_any(case, nhwc=True, compiled=True)


def torch_any(case: dict[str, Any], nhwc: bool, compiled: bool) -> Contest:
    """Torch: a training step or inference."""
    import networks
    import torch

    torch.set_num_threads(case["threads"])
    order = torch.channels_last if nhwc else torch.contiguous_format
    net = networks.build(case["network"], case["weights"]).to(memory_format=order)
    images, labels = data(case)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=order)
    if case["mode"] == "train":
        y = torch.from_numpy(labels)
        sgd = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9, fused=True)
        ahead = torch.compile(net) if compiled else net

        def step() -> float:
            sgd.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(ahead(x), y)
            loss.backward()
            sgd.step()
            return loss.item()

        return step, lambda loss: loss
    net.eval()
    if compiled:
        from torch._inductor import config

        config.freezing = True
        net = torch.compile(net)

    def infer() -> Any:
        with torch.no_grad():
            return net(x)

    return infer, lambda scores: scores[0].numpy()


def onnxruntime(case: dict[str, Any]) -> Contest:
    """ONNX Runtime, with all its optimisations."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = case["threads"]
    session = ort.InferenceSession(
        converted(case, ".onnx"), options, providers=["CPUExecutionProvider"]
    )
    given = {"x": images_of(case)}
    return lambda: session.run(None, given), lambda found: found[0][0]


def openvino(case: dict[str, Any]) -> Contest:
    """OpenVINO in float32 (it takes bfloat16 where the CPU has it)."""
    import openvino as ov

    net = ov.Core().compile_model(
        converted(case, ".onnx"), "CPU",
        {
            "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": case["threads"],
        },
    )  # fmt: skip
    request = net.create_infer_request()
    request.set_input_tensor(ov.Tensor(images_of(case)))
    return request.infer, lambda _: request.get_output_tensor().data[0]


def ncnn(case: dict[str, Any]) -> Contest:
    """ncnn in float32. It knows no batches."""
    if case["batch"] > 1:
        raise Refused("it knows no batches")
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = case["threads"]
    for lossy in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        if hasattr(net.opt, f"use_{lossy}"):
            setattr(net.opt, f"use_{lossy}", False)
    if net.load_param(converted(case, ".ncnn.param")):
        raise Refused("it does not know all layers")
    net.load_model(converted(case, ".ncnn.bin"))
    image = images_of(case)[0]
    x = ncnn.Mat(image).clone()  # what it is made of only points to the image

    def run() -> Any:
        one = net.create_extractor()
        one.input("in0", x)
        return one.extract("out0")[1]

    return run, np.array
