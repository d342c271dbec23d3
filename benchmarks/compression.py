"""The video that the HNeRV authors publish, compressed: at identical output, and as a curve of mixed precision.

    python benchmarks/compression.py --checkpoint quant_vid.pth --official "--enc_strds 5 4 4 2 2 ..." [--frames 8]

The first rows are sizes of the official file and of ours with the same integers, which decodes to the same frames, bit
for bit. Then `nervplay compress` with targets that are shares of ours. Quality is the mean PSNR of some frames, evenly
spread, after rounding to 8 bits: against what the official file decodes to and against the source, cut from the middle.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from app.cli.work.compressing import Compression, Limits, Settings
from ffmpeg_bridge import open_source
from nervplay import __version__
from nervplay.bitstream import QuantisedTensor, read_nerv, write_nerv
from nervplay.bitstream.layout import StoredTensor
from nervplay.codec import open_nerv
from nervplay.codec.huffman import official_bits
from nervplay.codec.importance import spread_frames
from nervplay.codec.official import open_quantised
from nervplay.decode import open_decoder
from nervplay.decode.rounding import to_uint8
from nervplay.metrics import psnr
from nervplay.models import build_model
from nervplay.video import FrameTransform

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "samples" / "bigbuckbunny.mp4"
SHARES = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)


def pictures(path: Path, indices: list[int]) -> Tensor:
    """Return some frames of a file, uint8 (B, H, W, 3)."""
    model = open_nerv(path).model
    with torch.no_grad():
        return torch.cat([to_uint8(model(torch.tensor([index]))) for index in indices])


def mean_psnr(frames: Tensor, reference: Tensor) -> float:
    """Return the mean PSNR in dB of frames, both uint8 (B, H, W, 3)."""
    pairs = zip(frames.numpy(), reference.numpy(), strict=True)
    return sum(psnr(frame, other) for frame, other in pairs) / len(frames)


def official_frames(checkpoint: Path, arguments: str, indices: list[int]) -> tuple[Tensor, Mapping[str, StoredTensor]]:
    """Return some frames of the official file, decoded without a file of ours in between, and its tensors."""
    opened = open_quantised(checkpoint, arguments)
    assert opened is not None, "give a quant_vid.pth"
    model = build_model(opened.architecture, opened.config).eval()
    values = {n: torch.from_numpy(t.dequantise() if isinstance(t, QuantisedTensor) else t.copy())
              for n, t in opened.tensors.items()}  # fmt: skip
    model.load_stored_state(values)
    with torch.no_grad():
        return torch.cat([to_uint8(model(torch.tensor([index]))) for index in indices]), opened.tensors


def source_frames(width: int, height: int, indices: list[int]) -> Tensor:
    """Return some frames of the source, cut from the middle, uint8 (B, H, W, 3)."""
    with FrameTransform(crop=(width, height)).apply(open_source(SOURCE)) as clip:
        return torch.stack([torch.from_numpy(frame.copy()) for frame in clip.frames(indices)])


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--official", required=True, metavar='"ARGS"')
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--shares", type=float, nargs="*", default=SHARES)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "compression.tsv")
    options = parser.parse_args()
    rows: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        same, small = Path(folder) / "same.nerv", Path(folder) / "small.nerv"
        command = ["import", str(options.checkpoint), "--official", options.official, "-o", str(same)]
        subprocess.run([sys.executable, "-m", "app.cli", *command], cwd=ROOT, check=True)
        video = read_nerv(same).video
        indices = spread_frames(video.frame_count, options.frames)
        reference, tensors = official_frames(options.checkpoint, options.official, indices)
        source = source_frames(video.width, video.height, indices)
        held = [tensor for tensor in tensors.values() if isinstance(tensor, QuantisedTensor)]
        codes = sum(tensor.codes.size for tensor in held)
        maps = sum(tensor.minimum.nbytes + tensor.scale.nbytes for tensor in held)
        to_source = f"{mean_psnr(reference, source):.3f}"
        rows += [
            ("uint8 codes", codes, "inf", to_source),
            ("uint8 codes and their maps", codes + maps, "inf", to_source),
            ("quant_vid.pth", options.checkpoint.stat().st_size, "inf", to_source),
            ("official Huffman estimate", official_bits(held) // 8, "inf", to_source),
            ("nervplay, same integers", same.stat().st_size, mean_psnr(pictures(same, indices), reference), to_source),
        ]
        fixed = Settings(bits=8, embed_bits=6, device="cpu")
        settings = [("8 bits, searched steps", fixed, Limits())]
        for share in options.shares:
            limit = Limits(file_bytes=int(share * same.stat().st_size))
            settings.append((f"target {share:g}", Settings(device="cpu"), limit))
        for name, chosen, limit in settings:
            with open_decoder(same, device="cpu") as decoder:
                file, _ = Compression(open_nerv(same), decoder, chosen, limit).run()
            size = write_nerv(small, file, overwrite=True)
            found = pictures(small, indices)
            quality = (f"{mean_psnr(found, reference):.2f}", f"{mean_psnr(found, source):.3f}")
            rows.append((f"nervplay, {name}", size, *quality))
            print(*rows[-1], sep="\t", flush=True)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    lines = [
        f"# nervplay {__version__} at {commit}, torch {torch.__version__}, {os.cpu_count()} cores {platform.machine()}",
        f"# python benchmarks/compression.py --checkpoint {options.checkpoint.name} --frames {options.frames}",
        "what\tbytes\tto uint8 codes\tto codes and maps\tbpp\tPSNR dB to official decode\tPSNR dB to source",
        *(
            f"{name}\t{size}\t{size / codes - 1:+.2%}\t{size / (codes + maps) - 1:+.2%}\t"
            f"{8 * size / video.pixels:.5f}\t{own}\t{to}"
            for name, size, own, to in rows
        ),
    ]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
