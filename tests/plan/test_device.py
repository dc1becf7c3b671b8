"""Where models run, and what a machine can do."""

import pytest
import torch

from jukectl.api import choose, examine
from jukectl.errors import BadInput
from jukectl.native.library import library
from jukectl.plan.device import devices, single_thread


def test_by_default_the_best_device_there_is():
    machine = choose()
    assert str(machine.device) == devices()[0]
    assert devices()[-1] == "cpu"


def test_a_cpu_computes_in_float32_by_default():
    assert choose("cpu").dtype is torch.float32
    assert choose("cpu", "bf16").dtype is torch.bfloat16


@pytest.mark.parametrize("device", ["tpu", "", "cuda:99", "meta", "cpu:7", "gpu"])
def test_a_device_that_is_not_here_is_refused_with_those_that_are(device):
    with pytest.raises(BadInput, match="cpu"):
        choose(device)


def test_an_unknown_precision_is_refused_with_the_known_ones():
    with pytest.raises(BadInput, match="fp32, bf16, fp16, int8"):
        choose("cpu", "int4")


@pytest.mark.skipif(library() is None, reason="there was no compiler when jukectl was installed")
def test_bytes_are_packed_from_full_precision():
    assert choose("cpu", "int8").dtype is torch.float32


def test_bytes_need_the_compiled_step(monkeypatch):
    monkeypatch.setenv("JUKECTL_NATIVE", "0")
    with pytest.raises(BadInput, match="needs the compiled step"):
        choose("cpu", "int8")


def test_one_thread_for_a_while():
    torch.set_num_threads(2)
    with pytest.raises(ZeroDivisionError), single_thread(choose("cpu")):
        assert torch.get_num_threads() == 1
        _ = 1 / 0
    assert torch.get_num_threads() == 2


def test_doctor_reports_the_machine_and_the_model(tiny_model):
    checkup = examine("cpu", only=str(tiny_model))
    assert checkup.torch == torch.__version__
    assert 0 < checkup.memory_free_bytes <= checkup.memory_bytes
    (model,) = checkup.models
    assert (model["name"], model["device"], model["precision"], model["fits"]) == ("tiny", "cpu", "fp32", True)
    minute = model["seconds_a_minute"]
    parts = ("top", "middle", "bottom", "decoding")
    assert minute["all"] == pytest.approx(sum(minute[name] for name in parts), abs=0.3)
    # a minute has 1875, 7500 and 30000 codes, and no code takes less than ten microseconds
    assert minute["bottom"] > minute["top"] > 0.0


def test_a_model_that_lacks_a_part_says_so(tiny_model, tmp_path):
    import shutil

    broken = shutil.copytree(tiny_model, tmp_path / "broken")
    (broken / "top.safetensors").unlink()
    (model,) = examine("cpu", only=str(broken)).models
    assert "top.safetensors" in model["problem"]
