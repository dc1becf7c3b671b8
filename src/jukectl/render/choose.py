"""New music at the top level: silent stretches are reported, and of several samples the best are kept."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log10
from statistics import median

import numpy as np
import torch

from jukectl.audio.faults import longest_silence, repetition, silence
from jukectl.audio.mel import SETTING, log_mel
from jukectl.codes.level import Level
from jukectl.plan.device import single_thread
from jukectl.plan.job import Job
from jukectl.progress import Progress, Remark, ignore, warn
from jukectl.render.decode import forget_audio, waveform
from jukectl.render.level import level_job
from jukectl.sampling.level import mean_bits

STRETCH = 2.0  # seconds of silence that are reported
SILENT = 0.1  # share of a sample's new music, from which on it counts as silent
LOOPED = 0.5  # share of half seconds that repeat, from which on a sample counts as a loop
QUIETER = 12.0  # decibels under the median of the samples, from which on a sample counts as too quiet
SHORTEST = 1.0  # seconds in which a repetition can be found


@dataclass(frozen=True)
class Finding:
    """Simple measures of the new music of a sample, at the top level."""

    silence: float  # share of the time below -60 dB of full scale
    repetition: float  # share of half seconds that occur again, nearly equal
    level: float  # root mean square, dB of full scale
    longest_silence: tuple[float, float]  # seconds from the start of the song; equal if there is none

    def faults(self, usual_level: float) -> int:
        """Return a number of faults, of which silence weighs most."""
        loop, quiet = self.repetition > LOOPED, self.level < usual_level - QUIETER
        return 4 * (self.silence > SILENT) + 2 * loop + quiet


def check_music(job: Job) -> list[Finding]:
    """Measure what each sample adds at the top level, by its decoded codes, and warn of silent stretches."""
    top = job.codes[Level.TOP]
    if top.done <= top.prompt:
        return []
    config, findings = job.model.card.vqvae, []
    vqvae = job.model.vqvae(job.machine.device, (Level.TOP,))
    first = top.prompt * config.hop(Level.TOP)
    for sample, codes in enumerate(top.array):
        job.listener(Progress("checking top", sample, top.samples))
        music = waveform(vqvae, codes, Level.TOP, job.machine)[first:]
        finding = _measured(music, config.sample_rate, first / config.sample_rate)
        begin, end = finding.longest_silence
        if end - begin >= min(STRETCH, len(music) / config.sample_rate / 2) > 0:
            which = f"sample {sample}" if top.samples > 1 else "the new music"
            warn(
                job.listener,
                f"{which} is silent from {begin:.1f} to {end:.1f} s. Try another --seed or --temperature, or keep the "
                "best of several: --samples 8 --keep 2",
            )
        findings.append(finding)
    job.listener(Progress("checking top", top.samples, top.samples))
    return findings


def _measured(music: np.ndarray, sample_rate: int, start: float) -> Finding:
    """Measure new music (n,) that begins `start` seconds into its song."""
    repeats = 0.0
    if len(music) >= SHORTEST * sample_rate:
        power = log_mel(torch.from_numpy(music)[None], sample_rate)[0].exp().numpy()
        repeats = repetition(power, frames_per_second=sample_rate / SETTING.hop)
    begin, end = longest_silence(music, sample_rate)
    level = 10 * log10(float(np.square(music, dtype=np.float64).mean()) + 1e-12)
    return Finding(silence(music, sample_rate), repeats, level, (start + begin, start + end))


def keep_best(job: Job, findings: Sequence[Finding]) -> Job:
    """Keep the best samples of a finished top level, if the recipe asks for that, and name them in the recipe.

    The recipe is written before the codes: a run that is stopped between the two keeps the same samples.
    """
    keep, top = job.recipe.keep, job.codes[Level.TOP]
    if keep is None or not job.must_choose or top.done < job.wanted[Level.TOP]:
        return job
    recipe = job.recipe
    if not keep.chosen:
        recipe = recipe.with_chosen(_chosen(job, findings, keep.best))
        job.song.write_recipe(recipe)
    assert recipe.keep is not None
    chosen = list(recipe.keep.chosen)
    named = ", ".join(map(str, chosen))
    job.listener(Remark("keep", f"samples {named} of {keep.of}; they are numbered from 0 in the song"))
    for level, codes in sorted(job.codes.items()):  # the top last, by whose number of samples the choice is known done
        if codes.samples == keep.of:
            forget_audio(job.song, codes)  # previews of all samples
            job = job.with_codes(replace(codes, array=codes.array[chosen]))
            job.song.save(job.codes[level])
    return replace(job, recipe=recipe)


def _chosen(job: Job, findings: Sequence[Finding], best: int) -> tuple[int, ...]:
    """Return the best samples, in order: those with the fewest faults, and of these the likeliest under the prior."""
    top = job.codes[Level.TOP]
    audible = [one.level for one in findings if one.silence <= SILENT] or [one.level for one in findings]
    usual = median(audible)
    with single_thread(job.machine):
        bits = mean_bits(level_job(replace(job, listener=ignore), Level.TOP), top.array, top.prompt)
    order = sorted(range(len(findings)), key=lambda one: (findings[one].faults(usual), bits[one], one))
    return tuple(sorted(order[:best]))
