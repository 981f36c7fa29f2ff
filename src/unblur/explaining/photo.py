"""From a photograph, burst or clip and a model to the explanation of the model's answer."""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.explaining import blur_map, doubt, gallery, words
from unblur.explaining.activations import Tuning, border_ratio, features, tuning
from unblur.explaining.attention import attention_maps
from unblur.explaining.blocks import Map, grid
from unblur.explaining.conformal import Calibration, signs_of, traits_of
from unblur.explaining.explanation import Explanation, Picture
from unblur.explaining.fidelity import measure, trial_of
from unblur.explaining.frames import frame_effects, strongest_frame
from unblur.explaining.gradients import contribution_area, diffusion_index
from unblur.explaining.methods import METHODS, check_names, chosen, reference_of
from unblur.explaining.region import LEAST, SIZE, WINDOW, Region, most_corrected, region_at, window_around
from unblur.explaining.subject import Subject, at_once, quick_alone, restorer_of, subject_of
from unblur.images.channels import as_floats
from unblur.records.explanation import Fidelity
from unblur.runtimes.tiles import restore_tiled, settled

if TYPE_CHECKING:
    from unblur.runtimes.restorer import Restorer

Field = NDArray[np.float32]
Track = Callable[[Sequence[Any]], Iterable[Any]]

WHAT = {"image": "photograph", "burst": "shot", "video": "frame"}  # that is restored, by task
NEAR = 256  # pixels: what is looked at for doubt, and what a region alone is explained by
BY_FRAME = ("lam", "grouped_gradients", "integrated_gradients")  # maps that tell the frames of a pixel apart
MOST_TILES = 4  # of 512 pixels at once: a network at full resolution takes more than a gigabyte for each
ACROSS, CLOSER = 8, 4  # blocks of the intervention along a side; that are looked at closer for a region alone


@dataclass(frozen=True)
class Asked:
    """What is to be explained, and how thoroughly.

    `at` is the middle of the region as (x, y), None where the model corrects most; `methods` names maps, None takes
    all that the model allows; without `tests` no map is measured; `reference` is the frame whose answer is explained,
    `numbers` are those that the frames are called by, None counts them from 0.
    Without `whole`, a region at a place is explained by the NEAR pixels around it alone: by one map where `methods` is
    None, the intervention, and without what concerns the photograph and the network as a whole.
    """

    at: tuple[int, int] | None = None
    size: int = SIZE
    methods: tuple[str, ...] | None = None
    tests: bool = True
    reference: int = 0
    numbers: tuple[int, ...] | None = None
    seed: int = 0
    whole: bool = True


def explain_frames(
    restorer: "Restorer",
    frames: NDArray[Any],
    name: str,
    asked: Asked | None = None,
    *,
    calibration: Calibration | None = None,
    track: Track = iter,
    after: Field | None = None,
) -> Explanation:
    """Explain a model's answer.

    Args:
        restorer: of any task; what needs gradients is made of its `network`, where it has one.
        frames: (K, H, W, 3): one photograph, the shots of a burst, or a clip; 8 or 16 bits, or floats in [0, 1].
        name: of the photograph, for the page.
        asked: see `Asked`.
        calibration: of this model; without it no bound on errors is promised.
        track: wraps the list of maps, for a progress bar.
        after: the answer (H, W, 3), where it is known; None restores the photograph.

    Raises:
        UsageError: the region does not lie in the picture.
        UnblurError: a map is asked for that the model does not allow, the frames do not fit its task, or are too small.
    """
    asked = asked or Asked()
    check_names(asked.methods)
    if min(frames.shape[1:3]) < LEAST:
        msg = f"{name}: is {frames.shape[2]} x {frames.shape[1]} pixels, too small to explain; expected {LEAST} or more"
        raise UnblurError(msg)
    if asked.whole or asked.at is None:
        asked = replace(asked, whole=True)
        return _explained(restorer, as_floats(frames), name, asked, calibration=calibration, track=track, after=after)
    height, width = frames.shape[1:3]
    region = region_at(*asked.at, asked.size, height, width)
    near = window_around(region, NEAR, height, width)
    inner = region.inside(near)
    nearer = replace(
        asked,
        at=(inner.left + region.size // 2, inner.top + region.size // 2),
        methods=asked.methods or ("intervention",),
    )
    cut = as_floats(frames[:, near.rows, near.columns])
    found = _explained(restorer, cut, name, nearer, calibration=calibration, track=track)
    place = {"left": region.left, "top": region.top, "size": region.size}
    note = (
        f"Sentences and pictures are of the {near.size} x {near.size} pixels around the region, from column "
        f"{near.left} and row {near.top} on; where to trust it least, of the {min(WINDOW, near.size)} around it."
    )
    about = {**found.about, "width": width, "height": height, "region": place}
    return replace(found, about=about, notes=(note, *found.notes))


def _explained(
    restorer: "Restorer",
    frames: Field,
    name: str,
    asked: Asked,
    *,
    calibration: Calibration | None,
    track: Track,
    after: Field | None = None,
) -> Explanation:
    """Explain the answer to these frames (K, H, W, 3) in [0, 1]; see `explain_frames`."""
    count, height, width = frames.shape[:3]
    _check_task(restorer, count)
    network = network_of(restorer)
    restore = (
        restorer_of(network, count, asked.reference) if network is not None else _called(restorer, asked.reference)
    )
    what, before = WHAT[restorer.task], frames[asked.reference]
    region = None if asked.at is None else region_at(*asked.at, asked.size, height, width)
    if region is None:
        region_at(width // 2, height // 2, asked.size, height, width)  # a size that fits nowhere is told at once
    after = _whole(restore, frames) if after is None else after
    region = region or most_corrected(before, after, asked.size)
    place = window_around(region, WINDOW, height, width)
    subject = subject_of(restore, network, _cut(frames, place), region.inside(place), asked.reference)
    names = chosen(asked.methods, subject, restorer.name)

    maps, fidelity, found = _maps(subject, names, asked, track)
    shown = gallery.photo_pictures(what, before, after, region)
    blur = blur_map.from_correction(before, after)
    spectrum = blur_map.from_spectrum(before)
    shown += gallery.map_pictures(maps, fidelity, subject, before[place.rows, place.columns])

    around = window_around(region, NEAR if asked.whole else WINDOW, height, width)
    inner = region.inside(around)
    near = before[around.rows, around.columns]
    steady, spread = doubt.turned(restore, _cut(frames, around))
    answer = after[around.rows, around.columns]
    invented = doubt.invented(before, after)
    level = calibration.level if calibration else 0.0  # without it there is no bound
    bound = None
    if calibration is not None:
        traits = traits_of(before, after, blur.typical)
        bound = calibration.bound(signs_of(before, after), traits)[around.rows, around.columns]
    shown += gallery.doubt_pictures(spread, near, inner, bound, level)
    tunings: tuple[Tuning, ...] = ()
    if asked.whole:
        shown += gallery.blur_pictures(what, blur, spectrum, region)
        shown += gallery.invented_picture(what, invented, region)
        inside, figures_inside = _network_pictures(subject)
        shown += inside
        found |= figures_inside
        tunings = tuple(tuning(subject))
    if count > 1:
        pictures_of_frames, figures_of_frames = _frame_pictures(subject, maps, asked.numbers or range(count), what)
        shown += pictures_of_frames
        found |= figures_of_frames

    best = _best(names, fidelity)
    figures = {
        **found,
        "blur_extent_by_correction_px": blur.typical,
        "blur_direction_by_correction_deg": blur.main_direction[0],
        "blur_extent_by_spectrum_px": spectrum.typical,
        "spread_of_turned_answers_steps": 255 * float(spread.mean()),
        "change_by_averaging_turned_answers_steps": 255 * float(np.abs(steady - answer).mean()),
        "invented_detail_share": float(invented.mean()),
    }
    if bound is not None:
        figures["error_bound_median_steps"] = 255 * float(np.median(bound))
    sentences = (
        words.where_blurred(what, spectrum, blur),
        words.what_counted(METHODS[best].title, maps[best], subject.region, _corrected(before, after, region)),
        words.where_not_to_trust(what, spread, invented[around.rows, around.columns], bound, level),
    )
    return Explanation(
        about={
            "photo": name,
            "model": restorer.name,
            "model_sha256": restorer.sha256,
            "task": restorer.task,
            "frames": count,
            "width": width,
            "height": height,
            "region": {"left": region.left, "top": region.top, "size": region.size},
        },
        sentences=sentences,
        figures=figures,
        fidelity=tuple(fidelity.values()),
        pictures=tuple(shown),
        tunings=tunings,
        notes=_notes(subject, restorer, calibration),
        maps=maps,
    )


def network_of(restorer: "Restorer") -> nn.Module | None:
    """Return a copy of a restorer's network with gradients for its input, on the CPU; None where it has none."""
    network: nn.Module | None = getattr(restorer, "network", None)
    return None if network is None else quick_alone(copy.deepcopy(network).cpu().requires_grad_(False))


def _maps(
    subject: Subject, names: Sequence[str], asked: Asked, track: Track
) -> tuple[dict[str, Map], dict[str, Fidelity], dict[str, float]]:
    """Return the maps, what each is worth, and figures about them."""
    closer = {} if asked.whole else {"closer": CLOSER}
    reference = reference_of(subject, grid(*subject.side, ACROSS), ACROSS, **closer)
    trial = trial_of(subject, reference, asked.seed) if asked.tests else None
    maps: dict[str, Map] = {}
    fidelity: dict[str, Fidelity] = {}
    figures: dict[str, float] = {}
    for name in track(list(names)):
        made = METHODS[name].make(subject, reference, asked.seed)
        maps[name] = made.map
        figures |= {f"{name}_{key}": value for key, value in made.notes.items()}
        figures[f"{name}_diffusion_index"] = diffusion_index(made.map)
        figures[f"{name}_contribution_area_px"] = contribution_area(made.map)
        if trial is not None:
            fidelity[name] = measure(trial, name, made.map)
    return maps, fidelity, figures


def _network_pictures(subject: Subject) -> tuple[list[Picture], dict[str, float]]:
    """Return what the network holds of the window and where it looks, as pictures and figures."""
    held, looked = features(subject), attention_maps(subject)
    figures = {f"attention_spread_{each.layer}": each.spread for each in looked}
    if held:
        figures["border_energy_ratio_of_first_block"] = border_ratio(held[0].energy)
    return [*gallery.feature_pictures(held), *gallery.attention_pictures(looked)], figures


def _frame_pictures(
    subject: Subject, maps: dict[str, Map], numbers: Sequence[int], what: str
) -> tuple[list[Picture], dict[str, float]]:
    """Return which frame counts for each place, and what is lost without each, by their `numbers`."""
    effects = zip(numbers, frame_effects(subject), strict=True)
    figures = {f"lost_without_frame_{number}": effect for number, effect in effects}
    of_frames = next((name for name in BY_FRAME if name in maps and maps[name].any()), None)
    if of_frames is None:
        return [], figures
    strongest = strongest_frame(maps[of_frames])
    return gallery.frame_pictures(what, strongest, numbers, subject.reference, subject.region), figures


def _corrected(before: Field, after: Field, region: Region) -> float:
    """Return by how much a pixel of the region was changed at most, in units of white."""
    place = region.rows, region.columns
    return float(np.abs(after[place] - before[place]).max())


def _best(names: Sequence[str], fidelity: dict[str, Fidelity]) -> str:
    """Return the first map that passed all its tests; where none did, the one that agrees most with intervention."""
    sound = [name for name in names if name in fidelity and not fidelity[name].failed]
    if sound or not fidelity:
        return (sound or list(names))[0]
    return max(fidelity, key=lambda name: fidelity[name].rank_correlation)


def _notes(subject: Subject, restorer: "Restorer", calibration: Calibration | None) -> tuple[str, ...]:
    notes = []
    if subject.network is None:
        notes.append(
            f"{restorer.name} has no gradients: maps by gradients, features and the check of shuffled weights need a "
            "folder with model.safetensors."
        )
    if calibration is None:
        notes.append("No bound on errors is promised: this model was not calibrated (`unblur explain-pairs` does it).")
    return tuple(notes)


def _whole(restore: Callable[[Tensor], Tensor], frames: Field) -> Field:
    """Return the restored reference (H, W, 3), in tiles."""
    count = len(frames)
    joined = np.concatenate(list(frames), axis=2)

    def call(batch: Field) -> Field:
        tiles = torch.from_numpy(batch.reshape(len(batch), count, 3, *batch.shape[-2:]))
        restored = torch.cat(at_once(torch.no_grad()(restore), torch.split(tiles, 1)))
        return np.asarray(restored.numpy(), np.float32)

    restored = restore_tiled(call, joined, channels=3, batch_size=min(torch.get_num_threads(), MOST_TILES))
    return np.asarray(np.clip(restored, 0, 1), np.float32)


def _called(restorer: "Restorer", reference: int) -> Callable[[Tensor], Tensor]:
    """Return a restorer of any runtime as a function of tensors (B, K, 3, h, w) -> (B, 3, h, w)."""
    of_windows = settled(restorer)

    def restore(inputs: Tensor) -> Tensor:
        given = inputs[:, 0] if restorer.task == "image" else inputs
        restored = torch.from_numpy(np.ascontiguousarray(of_windows(given.contiguous().numpy())))
        return restored[:, reference] if restorer.task == "video" else restored

    return restore


def _cut(frames: Field, place: Region) -> Tensor:
    """Return the window (K, 3, h, w) of frames (K, H, W, 3)."""
    return torch.from_numpy(np.ascontiguousarray(frames[:, place.rows, place.columns].transpose(0, 3, 1, 2)))


def _check_task(restorer: "Restorer", count: int) -> None:
    if restorer.task == "image" and count > 1:
        msg = f"{restorer.name}: explains single photographs, and got {count} frames; give one photograph"
        raise UnblurError(msg)
