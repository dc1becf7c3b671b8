"""The Python API, one function a stage; the only package that joins audio, codes and models. The CLI only calls it."""

from jukectl.checkpoints.hub import pull as pull_model
from jukectl.pipeline.about import describe_model, describe_path, list_models
from jukectl.pipeline.benchmarks import bench
from jukectl.pipeline.branching import branch
from jukectl.pipeline.converting import convert_model
from jukectl.pipeline.datasets import EncodedManifest, Part, encode_manifest
from jukectl.pipeline.decoding import decode
from jukectl.pipeline.doctor import Checkup, examine
from jukectl.pipeline.encoding import Encoded, encode
from jukectl.pipeline.estimating import (
    Estimate,
    estimate_branch,
    estimate_continue,
    estimate_resume,
    estimate_sample,
    estimate_upsample,
)
from jukectl.pipeline.machine import Machine, choose
from jukectl.pipeline.passages import upsample_passage
from jukectl.pipeline.picking import Taken, cut, pick
from jukectl.pipeline.rendering import Rendered, continue_, resume, sample, upsample
from jukectl.pipeline.request import Request
from jukectl.pipeline.tree_estimates import TreeEstimate, estimate_regrow, estimate_tree
from jukectl.pipeline.trees import Beginning, Grown, Growth, pick_place, regrow, tree

__all__ = [
    "Beginning",
    "Checkup",
    "Encoded",
    "EncodedManifest",
    "Estimate",
    "Grown",
    "Growth",
    "Machine",
    "Part",
    "Rendered",
    "Request",
    "Taken",
    "TreeEstimate",
    "bench",
    "branch",
    "choose",
    "continue_",
    "convert_model",
    "cut",
    "decode",
    "describe_model",
    "describe_path",
    "encode",
    "encode_manifest",
    "estimate_branch",
    "estimate_continue",
    "estimate_regrow",
    "estimate_resume",
    "estimate_sample",
    "estimate_tree",
    "estimate_upsample",
    "examine",
    "list_models",
    "pick",
    "pick_place",
    "pull_model",
    "regrow",
    "resume",
    "sample",
    "tree",
    "upsample",
    "upsample_passage",
]
