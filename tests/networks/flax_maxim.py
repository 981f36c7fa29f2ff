"""MAXIM once more, in NumPy, channels last and with Flax's names: what the PyTorch network is held against.

Written from the paper's equations and the layout of the published weights (Tu et al. 2022, CVPR), image by image and
without any layer of the package. `Weights` are made up as they are asked for, so the names that the forward pass uses
are the names of a checkpoint.
"""

import numpy as np

SLOPE, EPS, LEVELS = 0.2, 1e-6, 3
SIDES = (16, 16, 8)


class Weights(dict):
    """Arrays by Flax's names, drawn at first use from a generator."""

    def __init__(self, seed):
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def take(self, name, shape, spread):
        if name not in self:
            base = 1.0 if name.endswith("scale") else 0.0
            self[name] = (base + spread * self.rng.standard_normal(shape)).astype(np.float32)
        assert self[name].shape == shape, name
        return self[name].astype(np.float64)


def conv(w, name, x, out, size=1, stride=1):
    kernel = w.take(f"{name}/kernel", (size, size, x.shape[2], out), 0.7 / (size * x.shape[2] ** 0.5))
    pad = (size - stride) // 2
    padded = np.pad(x, ((pad, size - stride - pad),) * 2 + ((0, 0),))
    height, width = x.shape[0] // stride, x.shape[1] // stride
    total = np.zeros((height, width, out))
    for i in range(size):
        for j in range(size):
            window = padded[i : i + stride * height : stride, j : j + stride * width : stride]
            total += window @ kernel[i, j]
    return total + w.take(f"{name}/bias", (out,), 0.1)


def up(w, name, x, out):
    """Flax's transposed convolution 2x2, stride 2: the spread-out image, convolved with the kernel as it is."""
    kernel = w.take(f"{name}/kernel", (2, 2, x.shape[2], out), 0.7 / x.shape[2] ** 0.5)
    total = np.zeros((2 * x.shape[0], 2 * x.shape[1], out))
    for i in range(2):
        for j in range(2):
            total[i::2, j::2] = x @ kernel[1 - i, 1 - j]
    return total + w.take(f"{name}/bias", (out,), 0.1)


def dense(w, name, x, out, spread=0.7):
    kernel = w.take(f"{name}/kernel", (x.shape[-1], out), spread / x.shape[-1] ** 0.5)
    return x @ kernel + w.take(f"{name}/bias", (out,), 0.1)


def norm(w, name, x):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + EPS)
    return x * w.take(f"{name}/scale", (x.shape[-1],), 0.2) + w.take(f"{name}/bias", (x.shape[-1],), 0.2)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def mixed(w, name, x, side, spread):
    """A linear layer over positions: those of a grid over the image, or those inside a block."""
    height, width, channels = x.shape
    result = np.zeros_like(x)
    high, wide = (height // side, width // side) if spread else (side, side)
    # Cells of high x wide pixels; either the cells are mixed, at each place in them, or the pixels of each cell.
    cells = x.reshape(height // high, high, width // wide, wide, channels)
    cells = cells.transpose(0, 2, 1, 3, 4).reshape(-1, high * wide, channels)
    axis = 0 if spread else 1
    moved = np.moveaxis(cells, axis, -1)
    result = np.moveaxis(dense(w, name, moved, side * side, 0.5), -1, axis)
    result = result.reshape(height // high, width // wide, high, wide, channels).transpose(0, 2, 1, 3, 4)
    return result.reshape(height, width, channels)


def gated(w, name, unit, x, side, spread):
    y = gelu(dense(w, f"{name}/in_project", norm(w, f"{name}/LayerNorm", x), 2 * x.shape[2]))
    u, v = np.split(y, 2, -1)
    v = mixed(w, f"{name}/{unit}/Dense_0", norm(w, f"{name}/{unit}/intermediate_layernorm", v), side, spread)
    return x + dense(w, f"{name}/out_project", u * (v + 1), x.shape[2])


def axes(w, name, x, side):
    y = gelu(dense(w, f"{name}/in_project", norm(w, f"{name}/LayerNorm_in", x), 2 * x.shape[2]))
    u, v = np.split(y, 2, -1)
    u = gated(w, f"{name}/GridGmlpLayer", "GridGatingUnit", u, side, True)
    v = gated(w, f"{name}/BlockGmlpLayer", "BlockGatingUnit", v, side, False)
    return x + dense(w, f"{name}/out_project", np.concatenate((u, v), -1), x.shape[2])


def attention(w, name, x):
    mean = x.mean((0, 1), keepdims=True)
    hidden = np.maximum(conv(w, f"{name}/Conv_0", mean, x.shape[2] // 4), 0)
    return x * sigmoid(conv(w, f"{name}/Conv_1", hidden, x.shape[2]))


def residual(w, name, x):
    y = conv(w, f"{name}/conv1", norm(w, f"{name}/LayerNorm", x), x.shape[2], 3)
    y = conv(w, f"{name}/conv2", np.where(y > 0, y, SLOPE * y), x.shape[2], 3)
    return x + attention(w, f"{name}/channel_attention", y)


def perceptron(w, name, x):
    y = gelu(dense(w, f"{name}/channel_mixing/Dense_0", norm(w, f"{name}/LayerNorm", x), x.shape[2]))
    return x + attention(w, f"{name}/channel_attention", dense(w, f"{name}/channel_mixing/Dense_1", y, x.shape[2]))


def spatial(w, name, x, side):
    y = gelu(dense(w, f"{name}/in_project", norm(w, f"{name}/LayerNorm_in", x), 2 * x.shape[2]))
    u, v = np.split(y, 2, -1)
    parts = mixed(w, f"{name}/Dense_0", u, side, True), mixed(w, f"{name}/Dense_1", v, side, False)
    return dense(w, f"{name}/out_project", np.concatenate(parts, -1), x.shape[2])


def cross(w, name, x, y, channels, side, upsample=False):
    if upsample:
        y = up(w, f"{name}/ConvTranspose_0", y, channels)
    x0, y0 = conv(w, f"{name}/Conv_0", x, channels), conv(w, f"{name}/Conv_1", y, channels)
    x = gelu(dense(w, f"{name}/in_project_x", norm(w, f"{name}/LayerNorm_x", x0), channels))
    y = gelu(dense(w, f"{name}/in_project_y", norm(w, f"{name}/LayerNorm_y", y0), channels))
    gx = spatial(w, f"{name}/SplitHeadMultiAxisGating_x", x, side)
    gy = spatial(w, f"{name}/SplitHeadMultiAxisGating_y", y, side)
    y = dense(w, f"{name}/out_project_y", y * gx, channels) + y0
    return dense(w, f"{name}/out_project_x", x * gy, channels) + y + x0, y


def resized(x, ratio):
    """Bilinear with half-pixel centres; the triangle widens when it reduces, and is cut off at the border."""
    for axis in (0, 1):
        size = int(x.shape[axis] * ratio)
        centre = (np.arange(size) + 0.5) / ratio - 0.5
        weight = np.maximum(0, 1 - np.abs(centre[:, None] - np.arange(x.shape[axis])) * min(ratio, 1))
        weight /= weight.sum(1, keepdims=True)
        x = np.moveaxis(np.tensordot(weight, x, (1, axis)), 0, axis)
    return x


def maxim(w, image, width, stages, of=3):
    """Restore (H, W, 3), H and W multiples of 64; the image of stage `stages` of `of`."""
    scales = [image, image[1::2, 1::2], image[2::4, 2::4]]
    calls, before = 0, None
    for stage in range(stages):
        pre = f"stage_{stage}"
        channels = [width * 2**level for level in range(LEVELS)]
        inputs = [conv(w, f"{pre}_input_conv_{i}", scales[i], channels[i], 3) for i in range(LEVELS)]
        if before:
            inputs = [
                cross(w, f"{pre}_input_fuse_sam_{i}", inputs[i], before[2][i], channels[i], SIDES[i])[0]
                for i in range(LEVELS)
            ]
        x, encoded = inputs[0], []
        for i in range(LEVELS):
            name = f"{pre}_encoder_block_{i}"
            x = level(w, name, np.concatenate((x, inputs[i]), -1), channels[i], SIDES[i])
            if before:
                x, _ = cross(w, f"{name}/cross_gating_block", x, before[0][i] + before[1][i], channels[i], SIDES[i])
            encoded.append(x)
            x = conv(w, f"{name}/Conv_1", x, channels[i], 4, 2)
        for block in range(2):
            name = f"{pre}_global_block_{block}"
            entered = x = conv(w, f"{name}/input_proj", x, channels[2])
            for i in range(2):
                x = axes(w, f"{name}/SplitHeadMultiAxisGmlpLayer_{i}", x, 8)
                x = perceptron(w, f"{name}/channel_attention_block_1_{i}", x)
            x = x + entered
        gate, skips = x, []
        for i in reversed(range(LEVELS)):
            signal = []
            for j in range(LEVELS):
                brought = resized(encoded[j], 2.0 ** (j - i))
                signal.append(conv(w, f"UpSampleRatio_{calls}/Conv_0", brought, channels[i]))
                calls += 1
            name = f"{pre}_cross_gating_block_{i}"
            skip, gate = cross(w, name, np.concatenate(signal, -1), gate, channels[i], SIDES[i], upsample=True)
            skips.append(skip)
        decoded = [None] * LEVELS
        for i in reversed(range(LEVELS)):
            signal = []
            for j, skip in enumerate(skips):  # the lowest level first
                brought = resized(skip, 2.0 ** (LEVELS - 1 - j - i))
                signal.append(conv(w, f"UpSampleRatio_{calls}/Conv_0", brought, channels[i]))
                calls += 1
            name = f"{pre}_decoder_block_{i}"
            x = np.concatenate((up(w, f"{name}/ConvTranspose_0", x, channels[i]), *signal), -1)
            x = decoded[i] = level(w, f"{name}/UNetEncoderBlock_0", x, channels[i], SIDES[i])
        if stage == of - 1:
            return conv(w, f"{pre}_output_conv_0", x, 3, 3) + image
        attended, images = [], []
        for i in range(LEVELS):
            name = f"{pre}_supervised_attention_module_{i}"
            images.append(conv(w, f"{name}/Conv_1", decoded[i], 3, 3) + scales[i])
            factor = sigmoid(conv(w, f"{name}/Conv_2", images[i], channels[i], 3))
            attended.append(conv(w, f"{name}/Conv_0", decoded[i], channels[i], 3) * factor + decoded[i])
        before = encoded, decoded, attended
    return images[0]


def level(w, name, x, channels, side):
    entered = x = conv(w, f"{name}/Conv_0", x, channels)
    for i in range(2):
        x = axes(w, f"{name}/SplitHeadMultiAxisGmlpLayer_{i}", x, side)
        x = residual(w, f"{name}/channel_attention_block_1{i}", x)
    return x + entered
