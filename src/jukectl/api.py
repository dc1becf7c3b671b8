"""The Python API, one function a stage; the only package that joins audio, codes and models. The CLI only calls it."""

from jukectl.checkpoints.convert import convert_model
from jukectl.checkpoints.hub import pull as pull_model
from jukectl.data.encode import EncodedManifest, Part, encode_manifest
from jukectl.inspect.bench import bench
from jukectl.inspect.doctor import Checkup, examine
from jukectl.inspect.info import describe_model, describe_path, list_models
from jukectl.plan.device import Machine, choose
from jukectl.plan.dry_run import Estimate, estimate_continue, estimate_resume, estimate_sample, estimate_upsample
from jukectl.plan.request import Request
from jukectl.render.decode import decode
from jukectl.render.encode import Encoded, encode
from jukectl.render.song import Rendered, continue_, resume, sample, upsample
from jukectl.variations.branch import branch, estimate_branch
from jukectl.variations.passage import upsample_passage
from jukectl.variations.pick import Taken, cut, pick
from jukectl.variations.tree import Beginning, Grown, Growth, pick_place, regrow, tree
from jukectl.variations.tree_dry_run import TreeEstimate, estimate_regrow, estimate_tree

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
