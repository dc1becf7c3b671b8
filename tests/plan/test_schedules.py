"""From a recipe to what each level is told when: mixtures, changes, guidance, and where in its song a piece lies."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from model_cards import forget_fingerprints

from jukectl.api import Request, estimate_sample, pick, resume, sample, upsample, upsample_passage
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.schedule import Change
from jukectl.codes.song import Song
from jukectl.errors import BadInput, RecipeDiffers, UnknownName
from jukectl.lyrics.value import Lyrics
from jukectl.plan.conditioning import (
    change_code,
    conditioning_of,
    cuts_at,
    placed,
    rows_of,
    segments_of,
    sung_by_schedule,
)
from jukectl.plan.forecast import Extent, level_work
from jukectl.plan.recipes import recipe_of
from jukectl.prior.mixture import Mixture
from jukectl.progress import Remark, WarningsOnly
from jukectl.sampling.footprint import BatchPlan, MemoryPlan
from jukectl.sampling.level import LevelJob

TOP = {"levels": (Level.TOP,)}
HOPS = {Level.TOP: 256, Level.MIDDLE: 64, Level.BOTTOM: 16}
DUET = (
    Change(at=1.0, artist="Björk B.", settings={"temperature": {Level.TOP: 0.5}}),
    Change(at=2.0, genres=(), settings={"guidance": dict.fromkeys(TOP_DOWN, 2.0)}),
)


@pytest.fixture(scope="module")
def loud(tiny_model, tmp_path_factory):
    """The tiny model, with labels that matter a lot."""
    from safetensors.numpy import load_file, save_file

    path = tmp_path_factory.mktemp("loud") / "loud"
    shutil.copytree(tiny_model, path)
    factors = {"artist_genre": 16, "attention.out.weight": 8}
    for level in TOP_DOWN:
        file = path / f"{level.label}.safetensors"
        louder = {
            name: tensor * np.float16(next((factor for part, factor in factors.items() if part in name), 1))
            for name, tensor in load_file(file).items()
        }
        save_file(louder, file)
    return forget_fingerprints(path)


@pytest.fixture
def ask(ask, loud):
    """A request for a short song of that model."""
    return lambda **changes: ask(**{"model": str(loud), **changes})


@pytest.fixture
def card(tiny_model):
    return ModelFolder(tiny_model).card


@pytest.fixture
def recipe(tiny_model, ask):
    def make(**changes):
        return recipe_of(ModelFolder(tiny_model), ask(**{"seconds": 3.2, **changes}), None)

    return make


def codes_of(path, level=Level.TOP):
    return Song(path).codes(level).array


# Voices and styles


@pytest.mark.parametrize(
    ("mixed", "pure"),
    [
        ({"artist": "Ada:1+Björk B.:0"}, {"artist": "Ada"}),
        ({"artist": "Ada:0+Björk B.:1"}, {"artist": "Björk B."}),
        ({"artist": "#1:0.25+ada:0.75"}, {"artist": "Ada"}),
        ({"genres": ("Jazz:1+Ambient:0",)}, {"genres": ("Jazz",)}),
    ],
)
def test_at_weights_0_and_1_codes_are_those_of_the_pure_label(ask, tmp_path, mixed, pure):
    sample(tmp_path / "mixed", ask(levels=TOP_DOWN[:2], **mixed))
    sample(tmp_path / "pure", ask(levels=TOP_DOWN[:2], **pure))
    for level in TOP_DOWN[:2]:
        assert np.array_equal(codes_of(tmp_path / "mixed", level), codes_of(tmp_path / "pure", level))


def test_in_between_they_are_others_and_the_recipe_keeps_the_words(ask, tmp_path):
    texts = ["Ada", "Björk B.", "Ada:0.5+Björk B.:0.5", "Ada:0.5", "Ada:0"]
    made = [codes_of(sample(tmp_path / f"{n}", ask(artist=text, **TOP)).song) for n, text in enumerate(texts)]
    assert len({codes.tobytes() for codes in made}) == len(texts)
    assert Song(tmp_path / "2").recipe().labels.artist == "Ada:0.5+Björk B.:0.5"
    shutil.rmtree(tmp_path / "2" / "previews")
    (tmp_path / "2" / "top.npz").unlink()
    resume(tmp_path / "2")
    assert np.array_equal(codes_of(tmp_path / "2"), made[2])


def test_a_level_that_has_not_learned_a_name_is_made_without_it_and_says_so(ask, singing_model, tmp_path):
    card = ModelFolder(singing_model).card
    top, middle = (card.vocabulary_at(level) for level in (Level.TOP, Level.MIDDLE))
    (alone,) = [name for name in top.artists if middle.found_artist(name).unknown][:1]
    both = next(name for name in top.artists[1:] if not middle.found_artist(name).unknown)
    warnings = []
    asked = ask(model=str(singing_model), artist=f"{alone}:0.5+{both}:0.5", genres=(), song_seconds=4.0)
    sample(tmp_path / "song", asked, listener=WarningsOnly(warnings.append))
    assert [text for text in warnings if "has no label for" in text] == [
        f"the {level} prior has no label for {alone}: that level is made without" for level in ("middle", "bottom")
    ]


def test_unknown_names_are_refused_before_anything_is_written(ask, tmp_path):
    for changes in ({"artist": "Ada:0.5+Addda:0.5"}, {"genres": ("Jaz:0.5+Ambient:0.5",)}):
        with pytest.raises(UnknownName, match=r"The nearest: (Ada|Jazz)"):
            sample(tmp_path / "song", ask(**changes))
    assert not (tmp_path / "song").exists()


# Schedules


def test_changes_hold_from_the_nearest_top_code_on_at_all_levels(recipe, card):
    made = recipe(schedule=DUET)
    top, middle = (segments_of(made, card, level) for level in (Level.TOP, Level.MIDDLE))
    assert [segment.start for segment in top] == [0, 31, 62]  # 1 s is 31.25 codes, 2 s are 62.5
    assert [segment.start for segment in middle] == [0, 124, 248]
    assert [segment.artist for segment in top] == [Mixture.of(1), Mixture.of(2), Mixture.of(2)]
    assert [segment.genres for segment in top] == [Mixture.of(1), Mixture.of(1), Mixture.of(0)]
    assert [segment.sampling.temperature for segment in top] == [0.98, 0.5, 0.5]
    assert [segment.sampling.temperature for segment in middle] == [0.98] * 3
    assert [segment.sampling.guidance for segment in middle] == [1.0, 1.0, 2.0]
    assert cuts_at(made, card.vqvae, Level.BOTTOM) == (31 * 16, 62 * 16)
    assert [rows_of(each, Level.TOP) for each in (made, recipe())] == [2, 1]


@pytest.mark.parametrize("at", [0.0, 0.1, 1.0, 12.5, 31.5, 100.003])
def test_a_change_is_within_half_a_top_code_of_its_second(card, at):
    for level in TOP_DOWN:
        code = change_code(at, card.vqvae, level)
        assert abs(code * HOPS[level] / 8_000 - at) <= 0.5 * 256 / 8_000 + 1e-9
        assert code % (256 // HOPS[level]) == 0


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_duet_is_the_first_voice_alone_up_to_its_code(ask, tmp_path, parallel):
    asked = ask(seconds=2.4, settings={"parallel": dict.fromkeys(Level, parallel)}, levels=TOP_DOWN[:2])
    sample(tmp_path / "alone", asked)
    sample(tmp_path / "duet", replace(asked, schedule=(Change(at=1.28, artist="Björk B."),)))
    for level, cut in ((Level.TOP, 40), (Level.MIDDLE, 160)):
        alone, duet = (codes_of(tmp_path / name, level)[0] for name in ("alone", "duet"))
        if level is Level.TOP:  # below, codes follow from upper codes to come too
            assert np.array_equal(alone[:cut], duet[:cut])
        assert not np.array_equal(alone[cut:], duet[cut:])


def test_a_song_with_a_schedule_is_reproduced_from_its_recipe_and_resumes(ask, tmp_path, codes_in):
    asked = ask(seconds=2.4, schedule=DUET, levels=TOP_DOWN[:2])
    sample(tmp_path / "song", asked)
    whole = codes_in(tmp_path / "song")
    for level, done in ((Level.TOP, 31), (Level.MIDDLE, 124)):
        stopped = tmp_path / level.label
        stopped.mkdir()
        shutil.copy(tmp_path / "song" / "song.toml", stopped)
        for above in TOP_DOWN[: TOP_DOWN.index(level)]:
            shutil.copy(tmp_path / "song" / f"{above.label}.npz", stopped)
        Song(stopped).save(Song(tmp_path / "song").codes(level).cut(done))
        resume(stopped)
        assert codes_in(stopped) == whole
    with pytest.raises(RecipeDiffers, match=r"schedule: 1 s: artist='Björk B.'"):
        sample(tmp_path / "song", replace(asked, schedule=DUET[:1]))


def test_windows_that_end_at_changes_are_reckoned_with(ask, card, tmp_path):
    asked = ask(seconds=2.4, schedule=DUET, **TOP)
    estimate = estimate_sample(tmp_path / "song", asked)
    plain = estimate_sample(tmp_path / "song", replace(asked, schedule=()))
    # 75 codes in a context of 64: one window of 64 in three pieces, and one more of 11
    assert (plain.levels[Level.TOP].windows, estimate.levels[Level.TOP].windows) == (2, 4)
    plan = MemoryPlan(BatchPlan(1), "fp32", 0)
    config, settings = card.priors[Level.TOP], asked.sampling(Level.TOP, {})
    work = level_work(config, settings, plan, Extent(75, done=31), samples=1, cuts=(31, 62))
    assert len(work.rounds) == 3


@pytest.mark.parametrize("drafted", [(Level.TOP,), TOP_DOWN[:2]], ids=["top", "top,middle"])
def test_a_draft_that_is_upsampled_follows_its_schedule_below(ask, tmp_path, codes_in, drafted):
    """Whole, up to a second and on, of one sample: always the levels that would have been made at once."""
    asked = ask(seconds=1.6, samples=2, schedule=DUET[:1])
    sample(tmp_path / "at-once", asked)
    sample(tmp_path / "draft", replace(asked, levels=drafted))
    one = pick(tmp_path / "draft", 1).song
    upsample(tmp_path / "draft", Request(until=0.4))
    upsample(tmp_path / "draft", Request())
    assert codes_in(tmp_path / "draft") == codes_in(tmp_path / "at-once")
    upsample(one, Request())
    assert np.array_equal(codes_of(one, Level.BOTTOM)[0], codes_of(tmp_path / "at-once", Level.BOTTOM)[1])


@pytest.mark.parametrize(
    "change",
    [
        {"artist": "Björk B."},
        {"genres": ("Ambient",)},
        {"settings": {"temperature": {Level.MIDDLE: 0.2}}},
        {"settings": {"guidance": {Level.MIDDLE: 3.0}}},
    ],
    ids=["artist", "genre", "temperature", "guidance"],
)
def test_top_codes_of_other_making_are_upsampled_by_a_schedule(ask, tmp_path, change):
    """The same codes above: what is different below from the change on, and only there, is the schedule's doing."""
    sample(tmp_path / "song", ask(seconds=1.6, **TOP))
    plain = ask(seconds=1.6)
    for name, schedule in (("plain", ()), ("changed", (Change(at=0.64, **change),))):
        (tmp_path / name).mkdir()
        shutil.copy(tmp_path / "song" / "top.npz", tmp_path / name)
        upsample(tmp_path / name, replace(plain, schedule=schedule))
        assert Song(tmp_path / name).recipe().schedule == schedule
    middle, changed = (codes_of(tmp_path / name, Level.MIDDLE)[0] for name in ("plain", "changed"))
    assert np.array_equal(middle[: 20 * 4], changed[: 20 * 4])  # 0.64 s are 20 top codes
    assert not np.array_equal(middle[20 * 4 :], changed[20 * 4 :])


def test_a_song_has_its_own_schedule_and_takes_no_other(ask, tmp_path, codes_in):
    sample(tmp_path / "song", ask(seconds=1.6, schedule=DUET[:1], **TOP))
    before = codes_in(tmp_path / "song"), (tmp_path / "song" / "song.toml").read_text()
    with pytest.raises(RecipeDiffers, match=r"schedule: 1 s: .* copy its top\.npz into a new folder"):
        upsample(tmp_path / "song", Request(schedule=(Change(at=0.5, artist="Ada"),)))
    assert before == (codes_in(tmp_path / "song"), (tmp_path / "song" / "song.toml").read_text())
    upsample(tmp_path / "song", Request(schedule=DUET[:1], until=0.2))  # which is its own


def test_a_passage_takes_settings_for_levels_that_are_not_begun_and_refuses_other_labels(ask, tmp_path):
    sample(tmp_path / "song", ask(seconds=1.6, **TOP))
    plain = upsample_passage(tmp_path / "song", 0.4, 0.8, tmp_path / "plain", Request()).song
    cold = Request(settings={"temperature": {Level.MIDDLE: 0.3}})
    colder = upsample_passage(tmp_path / "song", 0.4, 0.8, tmp_path / "cold", cold).song
    assert Song(colder).recipe().sampling[Level.MIDDLE].temperature == 0.3
    assert not np.array_equal(codes_of(plain, Level.MIDDLE), codes_of(colder, Level.MIDDLE))
    with pytest.raises(RecipeDiffers, match="Give another --out"):
        upsample_passage(tmp_path / "song", 0.4, 0.8, tmp_path / "plain", cold)
    for other in (Request(artist="Björk B."), Request(schedule=DUET[:1])):
        with pytest.raises(RecipeDiffers, match="was begun otherwise"):
            upsample_passage(tmp_path / "song", 0.4, 0.8, tmp_path / "other", other)
    assert not (tmp_path / "other").exists()
    assert not upsample_passage(tmp_path / "song", 0.4, 0.8, tmp_path / "cold", cold).new


def test_a_schedule_that_a_lower_level_cannot_follow_is_refused_before_it_is_begun(ask, tmp_path):
    wrong = Change(at=0.5, settings={"temperature": {Level.BOTTOM: -1.0}})
    sample(tmp_path / "song", ask(seconds=1.6, schedule=(wrong,), **TOP))
    with pytest.raises(BadInput, match=r"the change at 0\.5 s: temperature must be"):
        upsample(tmp_path / "song", Request())
    assert Song(tmp_path / "song").recipe().levels == (Level.TOP,)
    (tmp_path / "codes").mkdir()
    shutil.copy(tmp_path / "song" / "top.npz", tmp_path / "codes")
    with pytest.raises(BadInput, match=r"scheduled for 1\.6 s, and the song is over at 1\.6 s"):
        upsample(tmp_path / "codes", ask(schedule=(Change(at=1.6, artist="Ada"),)))
    assert Song(tmp_path / "codes").recipe() is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (Change(at=3.3, artist="Ada"), "scheduled for 3.3 s, and the song is over at 3.2 s"),
        (
            Change(at=1, settings={"temperature": {Level.TOP: -1}}),
            "the change at 1 s: temperature must be a number, 0 or more",
        ),
        (Change(at=1, settings={"top_k": {Level.TOP: 1.5}}), "top_k is a whole number"),
        (Change(at=1, settings={"guidance": {Level.TOP: -1}}), "guidance must be 0 or more"),
    ],
)
def test_a_change_that_cannot_be_is_refused_at_once(recipe, change, reason):
    with pytest.raises(BadInput, match=reason):
        recipe(schedule=(change,))


def test_an_unknown_name_in_a_schedule_is_refused_at_once(recipe):
    with pytest.raises(UnknownName, match="no artist is called 'Addda'"):
        recipe(schedule=(Change(at=1, artist="Addda"),))


def test_lyrics_continue_at_the_place_of_a_change(ask, singing_model):
    folder = ModelFolder(singing_model)
    words = "One\nTwo\nThree and more\n"

    def shifts(lyrics_format="text", **place):
        asked = ask(
            model=str(singing_model),
            lyrics=Lyrics(words),
            seconds=8.0,
            song_seconds=23.0,
            schedule=(Change(at=4.0, **place),),
        )
        if lyrics_format == "lrc":
            lrc = "[00:01.00]One\n[00:02.00]Two\n[00:06.00]Three and more\n"
            asked = replace(asked, lyrics=Lyrics(lrc, "lrc"))
        made = recipe_of(folder, asked, None)
        return [round(segment.lyrics_shift / 8_000, 3) for segment in segments_of(made, folder.card, Level.TOP)]

    assert shifts(artist="") == [0.0, 0.0]
    assert shifts(lyrics_at=6.0) == [0.0, 2.0]
    assert shifts(lyrics_line=1) == [0.0, -4.0]
    assert shifts(lyrics_line=3) == [0.0, 4.0]  # its first character is the ninth of 23, so it is sung at 8 s
    assert shifts("lrc", lyrics_line=3) == [0.0, 2.0]
    with pytest.raises(BadInput, match="line 4 of the lyrics, which have 3"):
        shifts(lyrics_line=4)


LRC = "[00:01.00]one\n[00:03.00]two <00:03.50>three\n[00:06.00]four\n[00:09.00]five\n"


@pytest.fixture
def sung(ask, singing_model):
    """A recipe that sings LRC, eight seconds long."""

    def make(*changes, **options):
        given = {"lyrics": Lyrics(LRC, "lrc"), "seconds": 8.0, **options}
        return recipe_of(ModelFolder(singing_model), ask(model=str(singing_model), schedule=changes, **given), None)

    return make


@pytest.mark.parametrize(
    ("changes", "options", "heard"),
    [
        ([], {}, {"one": 1, "two": 3, "three": 3.5, "four": 6, "five": 9}),
        ([], {"start_at": 2.0}, {"two": 1, "three": 1.5, "four": 4, "five": 7}),
        ([Change(at=2.0, lyrics_at=5.0)], {}, {"one": 1, "four": 3, "five": 6}),
        ([Change(at=2.0, lyrics_line=4)], {}, {"one": 1, "five": 2}),
        ([Change(at=2.0, lyrics_line=3)], {"start_at": 1.0}, {"one": 0, "four": 2, "five": 5}),
        ([Change(at=0.0, lyrics_at=3.25)], {}, {"three": 0.25, "four": 2.75, "five": 5.75}),
        ([Change(at=1.0, artist="Ada")], {}, {"one": 1, "two": 3, "three": 3.5, "four": 6, "five": 9}),
    ],
)
def test_the_times_of_lyrics_move_with_a_change_to_another_place_in_them(sung, singing_model, changes, options, heard):
    """As they are told: what is sung in the middle of a window is the last that has begun by then."""
    recipe = sung(*changes, **options)
    lyrics = sung_by_schedule(recipe)
    assert {word.text: pytest.approx(word.start) for word in lyrics.words} == heard
    assert all(lyrics.text[word.first : word.stop] == word.text for word in lyrics.words)
    folder = ModelFolder(singing_model)
    song = conditioning_of(recipe, folder.card, Level.TOP, 250, lambda text: None)
    job = LevelJob(folder.prior(Level.TOP, torch.device("cpu")), 250, 0, song)
    text = recipe.labels.lyrics.text
    for window in job.windows(0):
        middle = (window.start + 32) * 256 / 8_000
        first = (window.start + window.prefix) * 256 / 8_000
        jumps = [change.at for change in changes if change.lyrics_at or change.lyrics_line]
        if any(first < at - 0.016 <= middle for at in jumps):
            continue  # it is told what would be sung there without the change, which it is cut at
        begun = [word for word in lyrics.words if word.start <= middle and (not jumps or word.start >= jumps[0])]
        shift = job.segment(window).lyrics_shift
        onsets = np.array(song.lyrics.onsets) - shift
        last = int(np.searchsorted(onsets, song.start_samples + window.start * 256 + 32 * 256, side="right")) - 1
        if begun:
            place = text.index(begun[-1].text)
            assert place <= last <= place + len(begun[-1].text), (window, text[: last + 1])


def test_a_line_sung_again_stands_in_the_lyrics_again(sung):
    lyrics = sung_by_schedule(sung(Change(at=4.0, lyrics_line=2)))
    assert lyrics.text == "one\ntwo three\ntwo three\nfour\nfive"
    assert [word.start for word in lyrics.words] == [1, 3, 3.5, 4, 4.5, 7, 10]


def test_words_that_a_change_moves_past_the_end_cause_a_warning(sung, singing_model):
    def warnings(*changes):
        heard = []
        conditioning_of(sung(*changes, song_seconds=8.0), ModelFolder(singing_model).card, Level.TOP, 250, heard.append)
        return [text for text in heard if "come after" in text]

    assert warnings() == [
        "the lyrics from 'five' at 9 s on come after the song's end at 8 s: give more --seconds or --song-seconds to "
        "have them sung"
    ]
    assert warnings(Change(at=2.0, lyrics_at=5.0)) == []
    assert (
        "from 'four' at 6 s on, which the schedule moves to 9 s, come after"
        in warnings(Change(at=4.0, lyrics_at=1.0))[0]
    )


def test_a_place_in_lyrics_that_are_not_there_is_refused(recipe):
    for change in (Change(at=1.0, lyrics_at=3.0), Change(at=1.0, lyrics_line=2)):
        with pytest.raises(BadInput, match=r"the change at 1 s continues .* the song has none: give them"):
            recipe(schedule=(change,))


def test_a_passage_after_several_changes_is_made_by_all_of_them(ask, tmp_path):
    sample(tmp_path / "song", ask(seconds=4.0, schedule=(*DUET, Change(at=3.0, artist="Ada")), **TOP))
    part = upsample_passage(tmp_path / "song", 3.2, 3.6, tmp_path / "part", Request()).song
    (joined,) = Song(part).recipe().schedule
    assert (joined.at, joined.artist, joined.genres) == (0.0, "Ada", ())
    assert joined.settings == {**DUET[0].settings, **DUET[1].settings}


# Guidance


def test_guidance_makes_other_codes_and_warns_where_a_model_may_not_have_learned_for_it(ask, tiny_model, tmp_path):
    warnings = []
    asked = ask(settings={"guidance": {Level.TOP: 2.0}}, model=str(tiny_model), **TOP)
    sample(tmp_path / "guided", asked, listener=WarningsOnly(warnings.append))
    sample(tmp_path / "plain", replace(asked, settings={}))
    assert not np.array_equal(codes_of(tmp_path / "guided"), codes_of(tmp_path / "plain"))
    assert [text for text in warnings if "guidance" in text] == [
        "tiny does not say that its top prior was also trained without labels, which guidance needs: it may not help "
        "there"
    ]
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    text = (model / "model.toml").read_text(encoding="utf-8")
    (model / "model.toml").write_text(text.replace("[fingerprints]", "[label_dropout]\ntop = 0.1\n\n[fingerprints]"))
    warnings.clear()
    sample(tmp_path / "told", replace(asked, model=str(model)), listener=WarningsOnly(warnings.append))
    assert warnings == []
    assert np.array_equal(codes_of(tmp_path / "told"), codes_of(tmp_path / "guided"))


# Timing


def test_by_default_the_song_ends_with_the_music(recipe, card):
    def about(**changes):
        made = recipe(**{"levels": (Level.TOP,), **changes})
        one = conditioning_of(made, card, Level.TOP, 100, lambda text: None)
        return one.start_samples / 8_000, one.song_samples / 8_000

    assert about() == (0.0, 3.2)
    assert about(start_at=8.0) == (8.0, 11.2)
    assert about(song_seconds=30.0, start_at=8.0) == (8.0, 30.0)
    begins, length = about(song_seconds=30.0, ending=True)
    assert (begins, length) == (pytest.approx(26.8, abs=0.016), 30.0)


def test_an_ending_shorter_than_the_shortest_song_is_the_end_of_that(ask, card):
    config = card.priors[Level.TOP]  # which knows songs from half a second on
    assert placed(ask(ending=True), 0.2, config) == (0.5, 0.3)
    assert placed(ask(), 0.2, config) == (0.2, 0.0)
    assert placed(ask(ending=True), 3.0, config) == (3.0, 0.0)


def test_ending_changes_the_codes_and_is_kept(ask, tmp_path):
    asked = ask(song_seconds=40.0, **TOP)
    sample(tmp_path / "begin", asked)
    sample(tmp_path / "end", replace(asked, ending=True))
    assert Song(tmp_path / "end").recipe().start_at == pytest.approx(40.0 - 0.608)
    assert not np.array_equal(codes_of(tmp_path / "begin"), codes_of(tmp_path / "end"))
    with pytest.raises(RecipeDiffers, match=r"start_at: 39\.392 here, none asked"):
        sample(tmp_path / "end", asked)


def test_a_place_that_cannot_be_is_refused(ask, recipe):
    with pytest.raises(BadInput, match="--start-at must be from 0"):
        ask(start_at=-1.0)
    with pytest.raises(BadInput, match="leave one of them out"):
        ask(start_at=1.0, ending=True)
    with pytest.raises(BadInput, match=r"--start-at 20 lies past the end of the song, which has 10 s: .*longer song"):
        recipe(start_at=20.0, song_seconds=10.0)


@pytest.mark.parametrize(("start_at", "said"), [(0.5, ["0.512"]), (8.0, []), (None, [])])
def test_a_start_that_is_rounded_to_top_codes_is_remarked_on(ask, tmp_path, start_at, said):
    remarks = []
    listener = lambda event: remarks.append(event) if isinstance(event, Remark) else None  # noqa: E731
    estimate_sample(tmp_path / "song", ask(start_at=start_at), listener=listener)
    texts = [one.text for one in remarks if one.stage == "place"]
    assert [text.split()[5] for text in texts] == said
