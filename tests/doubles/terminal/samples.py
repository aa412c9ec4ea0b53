"""The files that the documents name, small, each made once and when a page names it.

Networks are the tiny model's (64x32) or narrow ones with random weights; pictures, videos and labels are noise.
"""

import os
import re
import shutil

_SIZE = (64, 32)
_FRAMES, _LABELLED = 4, 3


class Samples:
    """Makes samples in ``folder``; ``run(folder, line)`` runs one of our commands for it."""

    def __init__(self, folder, run):
        self._folder, self._run = folder, run
        os.makedirs(folder)

    def put(self, text, target):
        """Copies of the samples that ``text`` names into the folder ``target``; the model and its engine always."""
        os.makedirs(target)
        wanted = [name for name in _MAKERS if re.search(r"(?<![\w.-]){}(?![\w-])".format(re.escape(name)), text)]
        for name in ["model.onnx", "model.engine", *wanted]:
            for part in self._made(name):
                source, there = os.path.join(self._folder, part), os.path.join(target, part)
                if os.path.isdir(source):
                    shutil.copytree(source, there, dirs_exist_ok=True)
                elif not os.path.exists(there):
                    shutil.copy(source, there)

    def _made(self, name):
        """The names of what belongs to a sample, made if it was not yet."""
        maker, parts = _MAKERS[name]
        if not os.path.exists(os.path.join(self._folder, parts[0])):
            maker(self, os.path.join(self._folder, name))
        return parts

    def _need(self, *names):
        for name in names:
            self._made(name)


def _model(samples, path):
    from tests.doubles.tiny_model import write_tiny_model

    write_tiny_model(path)


def _engine(samples, path):
    samples._need("model.onnx")
    samples._run(samples._folder, "ccc-build-engine --fp16 model.onnx -o {}".format(os.path.basename(path)))


def _checkpoint(**arguments):
    """A maker: a narrow C3Net."""

    def make(samples, path):
        import torch

        from tests.export.conftest import small_state

        torch.save(small_state(dilations=(2, 3, 7, 13), **arguments), path)

    return make


def _named_checkpoint(arch, **arguments):
    """A maker: a known network with random weights."""

    def make(samples, path):
        import torch

        from ccc_jetson.export.networks.registry import NETWORKS

        (network,) = [each for each in NETWORKS if each.name == arch]
        torch.manual_seed(0)
        module = network.build(**network.complete(arguments))
        torch.save(module.state_dict(), path)

    return make


def _video(samples, path):
    from tests.doubles.stages import write_video

    write_video(path, frames=8)


def _pictures(samples, path):
    from tests.doubles.pictures import write_pictures

    write_pictures(path, _FRAMES, _SIZE)


def _picture(samples, path):
    import numpy as np

    from tests.doubles.labelled_frames import frame_picture, write_image

    write_image(path, frame_picture(np.random.RandomState(3), *_SIZE))


def _labelled(images, labels):
    """A maker: pictures and label maps of the same names, with CamVid's numbers."""

    def make(samples, path):
        from tests.doubles.labelled_frames import write_pairs

        there = os.path.join(samples._folder, "pairs-of-" + images.replace("/", "-"))
        for source, name in zip(write_pairs(there, _LABELLED), (images, labels)):
            target = os.path.join(samples._folder, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.move(source, target)

    return make


def _cityscapes(samples, path):
    from tests.doubles.labelled_frames import write_cityscapes

    write_cityscapes(path)


def _camvid(samples, path):
    _labelled("camvid/test", "camvid/testannot")(samples, path)
    _pictures(samples, os.path.join(path, "train"))


def _bench(samples, path):
    samples._need("model.engine")
    samples._run(samples._folder, "ccc-bench model.engine --report {}".format(os.path.basename(path)))


def _same_bench(samples, path):
    """Two measurements of a busy machine differ; of these two nobody can say which is slower."""
    samples._need("before.json")
    shutil.copy(os.path.join(samples._folder, "before.json"), path)


def _names(count, word):
    def make(samples, path):
        with open(path, "w") as file:
            file.writelines("{}{}\n".format(word, number) for number in range(count))

    return make


def _cache(samples, path):
    samples._need("model.onnx", "frames")
    name = os.path.basename(path)
    samples._run(samples._folder, "ccc-calibrate model.onnx frames/ --tensorrt 8.5.2 --out {} --samples 2".format(name))


_MAKERS = {
    "model.onnx": (_model, ["model.onnx"]),
    "old.onnx": (_model, ["old.onnx"]),
    "new.onnx": (_model, ["new.onnx"]),
    "model.engine": (_engine, ["model.engine", "model.engine.json", "model.engine.kernels"]),
    "ckpt.pth": (_checkpoint(), ["ckpt.pth"]),
    "weights.pth": (_checkpoint(), ["weights.pth"]),
    "C3Net_setting2.pth": (_checkpoint(), ["C3Net_setting2.pth"]),
    "own.pth": (_checkpoint(classes=12), ["own.pth"]),
    "drn_c_26.pth": (_named_checkpoint("drn-classifier"), ["drn_c_26.pth"]),
    "espnet_p_2_q_3.pth": (_named_checkpoint("espnet", p=2, q=3), ["espnet_p_2_q_3.pth"]),
    "drive.mp4": (_video, ["drive.mp4"]),
    "clip.mp4": (_video, ["clip.mp4"]),
    "frames": (_pictures, ["frames"]),
    "pictures": (_pictures, ["pictures"]),
    "photos": (_pictures, ["photos"]),
    "train": (_pictures, ["train"]),
    "road_images": (_pictures, ["road_images"]),
    "test": (_labelled("test", "testannot"), ["test", "testannot"]),
    "testannot": (_labelled("test", "testannot"), ["testannot", "test"]),
    "images": (_labelled("images", "labels"), ["images", "labels"]),
    "labels": (_labelled("images", "labels"), ["labels", "images"]),
    "camvid": (_camvid, ["camvid"]),
    "cityscapes": (_cityscapes, ["cityscapes"]),
    "street.png": (_picture, ["street.png"]),
    "frame.png": (_picture, ["frame.png"]),
    "STREET.png": (_picture, ["STREET.png"]),
    "before.json": (_bench, ["before.json"]),
    "after.json": (_same_bench, ["after.json"]),
    "tx2.json": (_bench, ["tx2.json"]),
    "imagenet.txt": (_names(1000, "thing"), ["imagenet.txt"]),
    "model.calib": (_cache, ["model.calib", "model.calib.json"]),
    "entropy.calib": (_cache, ["entropy.calib", "entropy.calib.json"]),
    "minmax.calib": (_cache, ["minmax.calib", "minmax.calib.json"]),
}
