"""The canvas on the GPU: QRhiWidget with one shader for all modes; pictures are uploaded once, all else is uniforms.

PySide traps that shape this file: an exception that leaves `render` ends the process, so overrides are guarded and the
soft canvas takes over; `driverInfo()` must be kept alive while its members are read; all resources are made again when
`rhi()` changes, as it does when a dock floats or a window moves to another screen.
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from PySide6.QtCore import QSize, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QRhi,
    QRhiBuffer,
    QRhiCommandBuffer,
    QRhiDepthStencilClearValue,
    QRhiDriverInfo,
    QRhiGraphicsPipeline,
    QRhiSampler,
    QRhiShaderResourceBinding,
    QRhiShaderStage,
    QRhiTexture,
    QRhiViewport,
    QShader,
)
from PySide6.QtWidgets import QRhiWidget, QWidget

from app.core.cache import Picture
from app.core.geometry import Geometry
from app.core.pictures import same_size
from app.core.player import Player
from app.core.view import DERIVED, Mode
from app.views.canvas.hand import CanvasHand, pane_picture
from app.views.canvas.images import wrap
from app.views.canvas.soft import BACKGROUND

__all__ = ["RhiCanvas", "is_software"]

_SHADERS = Path(__file__).parent / "shaders"
_TEXTURES = 4
_UNIFORMS = struct.Struct("84f")
_COMPUTED = {Mode.DIFFERENCE: 1.0, Mode.SIGNED: 2.0, Mode.HEAT: 3.0}
_SOFTWARE = ("llvmpipe", "softpipe", "swiftshader", "lavapipe", "basic render")


def is_software(rhi: QRhi) -> bool:
    """Return whether a renderer runs on the CPU, where QPainter is many times faster."""
    info = rhi.driverInfo()
    name = _device_name(rhi).lower()
    on_cpu = cast(object, info.deviceType) is QRhiDriverInfo.DeviceType.CpuDevice  # the stubs say int
    return on_cpu or _backend_name(rhi) == "Null" or any(mark in name for mark in _SOFTWARE)


def _backend_name(rhi: QRhi) -> str:
    """Return the graphics API."""
    return cast(str, rhi.backendName())  # the stubs say bytes


def _device_name(rhi: QRhi) -> str:
    """Return what the driver calls the device."""
    info = rhi.driverInfo()  # kept alive: its members die with it
    return str(bytes(info.deviceName.data()), "utf-8", "replace")


class RhiCanvas(CanvasHand, QRhiWidget):
    """Draws what the player shows with a shader.

    Args:
        player: whose pictures and view.
        parent: the widget around it.
        refuse_software: give up (`failed`) where the renderer runs on the CPU.
    """

    failed = Signal(str)
    """Why this canvas cannot go on; the other kind takes its place."""

    def __init__(self, player: Player, parent: QWidget | None = None, *, refuse_software: bool = True) -> None:
        super().__init__(parent)
        self.init_hand(player)
        self._refuse_software = refuse_software
        self._rhi: QRhi | None = None
        self._pipeline: QRhiGraphicsPipeline | None = None
        self._uploaded: list[Picture | None] = [None] * _TEXTURES
        self._sizes = [(1, 1)] * _TEXTURES
        self._broken = False
        self.paints = 0
        self.description = "GPU"
        self.renderFailed.connect(lambda: self._give_up("the graphics driver gave no surface to draw on"))

    def pictures_changed(self) -> None:
        """Draw other pictures."""
        self.update()

    def _give_up(self, reason: str) -> None:
        """Tell once that the soft canvas has to take over, when the driver's call is over."""
        if not self._broken:
            self._broken = True
            QTimer.singleShot(0, self, lambda: self.failed.emit(reason))

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run a part of a driver's call; an exception that left it would end the process."""
        if self._broken:
            return
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not leave the driver's call
            self._give_up(f"drawing failed: {error!r}")

    def initialize(self, cb: QRhiCommandBuffer) -> None:  # noqa: ARG002 - Qt's signature
        """Make what the GPU needs, again whenever its device changed."""
        self._guarded(self._initialize)

    def render(self, cb: QRhiCommandBuffer) -> None:  # type: ignore[override]  # Qt has two methods of this name
        """Draw one frame."""
        self._guarded(lambda: self._render(cb))

    def releaseResources(self) -> None:
        """Forget what belongs to a device that goes away."""
        self._pipeline = self._rhi = None

    def _initialize(self) -> None:
        rhi = self.rhi()
        if self._pipeline is not None and self._rhi is rhi:
            return
        self.description = f"{_backend_name(rhi)}, {_device_name(rhi)}"
        if self._refuse_software and is_software(rhi):
            self._give_up(f"{self.description} runs on the CPU, where the other canvas is faster")
            return
        self._rhi = rhi
        self._buffer = rhi.newBuffer(QRhiBuffer.Type.Dynamic, QRhiBuffer.UsageFlag.UniformBuffer, 4 * 84)
        self._buffer.create()
        linear, clamp = QRhiSampler.Filter.Linear, QRhiSampler.AddressMode.ClampToEdge
        self._sampler = rhi.newSampler(linear, linear, QRhiSampler.Filter.None_, clamp, clamp)
        self._sampler.create()
        self._textures = [rhi.newTexture(QRhiTexture.Format.RGBA8, QSize(1, 1)) for _ in range(_TEXTURES)]
        for texture in self._textures:
            texture.create()
        self._uploaded = [None] * _TEXTURES
        self._bind(rhi)

    def _bind(self, rhi: QRhi) -> None:
        """Make the pipeline: one quad, one shader, four textures."""
        stages = QRhiShaderResourceBinding.StageFlag
        both, fragment = stages.VertexStage | stages.FragmentStage, stages.FragmentStage
        self._bindings = rhi.newShaderResourceBindings()
        self._bindings.setBindings(
            [
                QRhiShaderResourceBinding.uniformBuffer(0, both, self._buffer),
                *(
                    QRhiShaderResourceBinding.sampledTexture(number + 1, fragment, texture, self._sampler)
                    for number, texture in enumerate(self._textures)
                ),
            ]
        )
        self._bindings.create()
        pipeline = rhi.newGraphicsPipeline()
        pipeline.setTopology(QRhiGraphicsPipeline.Topology.TriangleStrip)
        pipeline.setShaderStages(
            [
                QRhiShaderStage(QRhiShaderStage.Type.Vertex, _shader("compare.vert.qsb")),
                QRhiShaderStage(QRhiShaderStage.Type.Fragment, _shader("compare.frag.qsb")),
            ]
        )
        pipeline.setShaderResourceBindings(self._bindings)
        pipeline.setRenderPassDescriptor(self.renderTarget().renderPassDescriptor())
        if not pipeline.create():
            self._give_up("the graphics driver refused the shader")
            return
        self._pipeline = pipeline

    def _render(self, cb: QRhiCommandBuffer) -> None:
        if self._pipeline is None:
            return
        self.paints += 1
        target = self.renderTarget()
        size = target.pixelSize()
        updates = self.rhi().nextResourceUpdateBatch()
        laid = self.geometry_now()
        sources = self._upload(updates, laid)
        updates.updateDynamicBuffer(self._buffer, 0, self._uniforms(laid, sources))
        cb.beginPass(target, QColor(*BACKGROUND), QRhiDepthStencilClearValue(1.0, 0), updates)
        cb.setGraphicsPipeline(self._pipeline)
        cb.setViewport(QRhiViewport(0, 0, size.width(), size.height()))
        cb.setShaderResources()
        cb.draw(4)
        cb.endPass()

    def _upload(self, updates: Any, laid: Geometry) -> list[float]:
        """Upload the pictures that changed; return which texture each pane reads, -1 computed, -2 nothing."""
        mode = self.player.shown_mode
        if mode in DERIVED:
            wanted = list(self.player.pictures[:2])
            sources = [-1.0]
        elif mode is Mode.GRID:
            wanted = [pane_picture(self.player, pane) for pane in laid.panes]
            sources = [float(number) if picture is not None else -2.0 for number, picture in enumerate(wanted)]
        else:
            wanted = list(self.player.pictures[:2])
            sources = [float(pane.picture) if wanted[pane.picture] is not None else -2.0 for pane in laid.panes]
        for number, picture in enumerate(wanted):
            if picture is None or picture is self._uploaded[number]:
                continue
            height, width, _ = picture.shape
            texture = self._textures[number]
            if texture.pixelSize() != QSize(width, height):
                texture.setPixelSize(QSize(width, height))
                texture.create()
            updates.uploadTexture(texture, wrap(picture))
            self._uploaded[number], self._sizes[number] = picture, (width, height)
        return sources

    def _uniforms(self, laid: Geometry, sources: list[float]) -> bytes:
        """Return the uniform block of `compare.frag`."""
        player, mode = self.player, self.player.shown_mode
        region = player.region or (0, 0, 0, 0)
        clips: list[float] = []
        places: list[float] = []
        for number in range(_TEXTURES):
            pane = laid.panes[number] if number < len(laid.panes) else None
            clips += [*pane.clip] if pane else [0.0] * 4
            places += [pane.left, pane.top, sources[number], 0.0] if pane else [0.0, 0.0, -2.0, 0.0]
        sizes = [value for width, height in self._sizes for value in (float(width), float(height), 0.0, 0.0)]
        divider = laid.dividers[0] if laid.dividers else -1
        comparable = same_size(player.pictures[0], player.pictures[1])
        shown = any(picture is not None for picture in player.pictures)
        return _UNIFORMS.pack(
            *self.rhi().clipSpaceCorrMatrix().data(),
            *laid.canvas,
            *laid.scale,
            laid.picture.width,
            laid.picture.height,
            float(laid.smooth),
            len(laid.panes) if shown else 0,
            _COMPUTED.get(mode, 0.0),
            player.view.gain,
            float(player.region is not None),
            float(comparable),
            *region,
            divider if shown else -1,
            0.0,
            0.0,
            0.0,
            *clips,
            *places,
            *sizes,
        )


def _shader(name: str) -> QShader:
    """Return a shader that `tools/bake_shaders.sh` made."""
    return QShader.fromSerialized((_SHADERS / name).read_bytes())
