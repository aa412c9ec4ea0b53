"""The contract that every network keeps: a new one is tested by its entry in the registry."""

import numpy as np
import pytest
import torch

from ccc_jetson.contract import LOGITS, SCORES
from ccc_jetson.errors import CheckpointError, UsageError
from ccc_jetson.export.checkpoint import load_checkpoint
from ccc_jetson.export.complexity import count
from ccc_jetson.export.networks.c3net import C3Net, C3NetV2
from ccc_jetson.export.networks.entry import CLASSIFICATION, SEGMENTATION
from ccc_jetson.export.networks.espnet import ESPnet
from ccc_jetson.export.networks.families import NETWORKS
from ccc_jetson.export.networks.paper import NAMED
from ccc_jetson.export.networks.registry import describe, named_like, recognise, wanted_network
from ccc_jetson.export.onnx_graph import INPUT, build_graph, finished
from ccc_jetson.export.verify import MAX_RELATIVE_ERROR, MIN_AGREEMENT
from ccc_jetson.ort import cpu_session
from ccc_jetson.targets import target_named

FAMILIES = {network.name: network for network in NETWORKS}
CCC1, CCC2 = (2, 4, 8, 16), (2, 3, 7, 13)
TX2 = target_named("tx2")
DEEP = 224  # side of a classifier's image


def built(named, **more):
    """The network with weights that differ from layer to layer, in evaluation mode."""
    torch.manual_seed(3)
    module = FAMILIES[named.family].build(**{**named.arguments, **more})
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and name != "up.weight":
            tensor.add_(torch.rand_like(tensor) * 0.01)
    return module.eval()


def size_of(named):
    """Height and width of a small input, its sides different where the network allows it."""
    return (64, 128) if FAMILIES[named.family].task == SEGMENTATION else (DEEP, DEEP)


def classes_of(named):
    network = FAMILIES[named.family]
    return network.complete(named.arguments)["classes"]


@pytest.fixture(scope="class", params=NAMED, ids=lambda named: named.name)
def named(request):
    return request.param


@pytest.fixture(scope="class")
def module(named):
    return built(named)


@pytest.fixture(scope="class")
def result(named, module):
    """An input of two pictures, and what the network gives for it."""
    torch.set_num_threads(1)  # before the fixture that does so for each test: sums depend on it
    image = torch.randn(2, 3, *size_of(named), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return image, module(image)


def recognised(named, state):
    """What recognition makes of a state dict, told what the file leaves open."""
    wanted = None
    if named.arguments.get("structure") == "A":
        wanted = wanted_network(named.family, ["dilations=2,4,8,16"])
    return recognise(state, named.name, wanted)


class TestContract:
    def test_segmentation_gives_logits_of_the_inputs_size_and_classification_scores(self, named, result):
        image, output = result
        sides = image.shape[2:] if FAMILIES[named.family].task == SEGMENTATION else ()
        assert output.shape == (2, classes_of(named), *sides)
        assert torch.isfinite(output).all()
        assert output.std() > 0

    def test_pictures_of_a_batch_do_not_mix(self, module, result):
        image, output = result
        with torch.no_grad():
            alone = module(image[1:])
        assert float((alone - output[1:]).abs().max()) <= 1e-4 * float(output.abs().max())

    def test_the_same_input_gives_the_same_output(self, module, result):
        image, output = result
        with torch.no_grad():
            assert torch.equal(module(image), output)

    def test_other_sizes_and_class_counts_are_possible(self, named):
        network = FAMILIES[named.family]
        side = network.multiple * (5 if network.task == SEGMENTATION else 1)
        with torch.device("meta"):
            module = network.build(**{**named.arguments, "classes": 5}).eval()
            output = module(torch.empty(1, 3, side, side + (network.multiple if side != DEEP else 0)))
        assert output.shape[1] == 5
        assert output.shape[2:] in ((side, side + network.multiple), ())

    def test_it_is_recognised_by_its_state_dict(self, named, module, result):
        found = recognised(named, module.state_dict())
        network = FAMILIES[named.family]
        assert found.network is network
        assert network.complete(found.arguments) == network.complete(named.arguments)
        assert found.title == named.title
        assert not found.module.training
        image, output = result
        with torch.no_grad():
            assert torch.equal(found.module(image), output)

    def test_a_saved_file_is_recognised_with_data_parallels_prefix_and_without_counters(self, named, module, tmp_path):
        path = str(tmp_path / "weights.pth")
        state = {key: value for key, value in module.state_dict().items() if not key.endswith("num_batches_tracked")}
        torch.save({"module." + key: value for key, value in state.items()}, path)
        found = recognised(named, load_checkpoint(path).state)
        assert named_like(found.network, found.arguments) == named

    def test_another_number_of_classes_is_read_too(self, named):
        module = built(named, classes=5)
        assert recognised(named, module.state_dict()).arguments["classes"] == 5

    def test_its_defaults_fit_it(self, named):
        network = FAMILIES[named.family]
        defaults = network.defaults(network.complete(named.arguments))
        assert defaults.width % network.multiple == defaults.height % network.multiple == 0
        assert min(defaults.preprocessing.std) > 0

    def test_asked_for_by_name_it_is_accepted(self, named, module):
        more = ["dilations=2,4,8,16"] if named.arguments.get("structure") == "A" else []
        found = recognise(module.state_dict(), "a", wanted_network(named.name, more))
        assert named_like(found.network, found.arguments) == named

    def test_its_graph_computes_what_pytorch_computes(self, named, module, result):
        image, output = result
        kind = LOGITS if FAMILIES[named.family].task == SEGMENTATION else SCORES
        graph = finished(build_graph(module, tuple(image.shape), kind, TX2), TX2)
        session = cpu_session(graph.SerializeToString(), named.name)
        (found,) = session.run([kind], {INPUT: image.numpy()})
        expected = output.numpy()
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= MAX_RELATIVE_ERROR * np.abs(expected).max()
        assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() > MIN_AGREEMENT


def test_names_are_unique_and_every_family_has_a_name():
    assert len({named.name for named in NAMED}) == len(NAMED)
    assert {named.family for named in NAMED} == set(FAMILIES)


def test_at_full_size_the_paper_s_network_gives_full_size():
    module = built(next(named for named in NAMED if named.name == "ccc2"))
    with torch.no_grad():
        assert module(torch.randn(1, 3, 512, 1024)).shape == (1, 20, 512, 1024)


@pytest.mark.parametrize(
    ("file", "title", "arguments", "published"),
    [
        ("espnet_p_2_q_8.pth", "ESPnet", {"classes": 20, "q": 8, "decoder": "published"}, [60.3]),
        ("espnet_p_2_q_3.pth", "ESPnet-tiny", {"classes": 20, "q": 3, "decoder": "published"}, [56.3]),
        ("espnet_c_p_2_q_8.pth", "ESPnet-C", {"classes": 20, "q": 8}, []),
        ("espnet_decoder_espnet_p_2_q_8_camvid.pth", "ESPnet", {"classes": 12, "q": 8, "decoder": "training"}, []),
    ],
)
def test_the_authors_checkpoints_are_recognised(shared_data, file, title, arguments, published):
    found = recognise(load_checkpoint(shared_data(file)).state, file)
    assert found.title == title
    assert arguments.items() <= found.arguments.items()
    assert [figure.value for figure in found.published] == published


def test_the_camvid_network_has_the_statistics_and_size_of_its_data(shared_data):
    state = load_checkpoint(shared_data("espnet_decoder_espnet_p_2_q_8_camvid.pth")).state
    defaults = recognise(state, "camvid").defaults
    assert (defaults.width, defaults.height, defaults.data_set) == (480, 360, "camvid")
    assert defaults.preprocessing.mean == (107.8, 105.9, 102.7)
    assert defaults.note(()) == (
        "12 outputs are taken for ESPnet's CamVid network: its mean, std, 480x360 and classes are used; "
        "for another one give --mean, --std, --size and --classes"
    )


def test_what_the_user_chose_is_not_said_to_be_assumed():
    defaults = FAMILIES["espnet"].defaults({"classes": 12})
    assert defaults.note(("size", "mean", "std")).endswith(": its classes are used; for another one give --classes")
    assert ": its 480x360 and classes are used; for" in defaults.note(("mean", "std"))
    assert defaults.note(("mean", "std", "size", "classes")) == ""
    assert FAMILIES["espnet"].defaults({"classes": 20}).note(()) == ""


@pytest.mark.parametrize("dilations", [CCC2, (1, 2, 4, 8), (3, 5), (2, 2, 2, 6, 9)])
def test_c3netv2_with_other_dilations_is_recognised(dilations):
    module = C3NetV2(classes=7, p=1, q=2, dilations=dilations, channels=(20, 40))
    found = recognise(module.state_dict(), "v2")
    assert (found.network.name, found.title) == ("c3netv2", "C3NetV2")
    assert found.arguments["dilations"] == dilations


def test_a_c3net_with_a_branch_that_is_not_dilated_is_recognised():
    module = C3Net(classes=7, p=1, q=2, dilations=(1, 2, 4), channels=(8, 24, 48))
    assert recognise(module.state_dict(), "v1").arguments["dilations"] == (1, 2, 4)


@pytest.mark.parametrize(("q", "title"), [(3, "ESPnet-tiny"), (5, "ESPnet")])
def test_espnet_of_another_depth_is_recognised(q, title):
    found = recognise(ESPnet(q=q).state_dict(), "esp")
    assert (found.arguments["q"], found.title) == (q, title)
    assert bool(found.published) == (q == 3)


def test_dilations_that_no_key_tells_are_asked_for_with_all_candidates():
    state = C3Net(p=1, q=1, channels=(8, 16, 32), dilations=CCC2, structure="A").state_dict()
    with pytest.raises(CheckpointError) as caught:
        recognise(state, "a.pth")
    message = str(caught.value)
    assert "does not tell dilations" in message
    assert "dilations 2 4 8 16" in message and "dilations 2 3 7 13" in message
    assert caught.value.hint.startswith("say which: --arch c3net --arch-args dilations=")
    found = recognise(state, "a.pth", wanted_network("c3net", ["dilations=2,3,7,13"]))
    assert found.arguments["dilations"] == CCC2


@pytest.mark.parametrize("dilations", [(1, 5, 6), (9, 1, 2, 1), (1, 2)])
def test_branches_of_structure_a_that_are_not_dilated_are_told_and_the_others_asked_for(dilations):
    state = C3Net(p=1, q=1, channels=(8, 24, 48), dilations=dilations, structure="A").state_dict()
    with pytest.raises(CheckpointError, match="does not tell dilations") as caught:
        recognise(state, "a.pth")
    candidates = [line.split("dilations ")[1].split(",")[0] for line in str(caught.value).splitlines()[1:]]
    undilated = [dilation == 1 for dilation in dilations]
    print(candidates)
    assert [[word == "1" for word in each.split()] for each in candidates] == [undilated, undilated]
    settings = ["dilations=" + ",".join(map(str, dilations))]
    assert recognise(state, "a.pth", wanted_network("c3net", settings)).arguments["dilations"] == dilations


@pytest.mark.parametrize("dilations", [(5, 6, 7), (9, 2, 2, 2, 2)])
def test_any_number_of_branches_without_told_dilations_is_asked_about(dilations):
    state = C3Net(p=1, q=1, channels=(8, 30, 60), dilations=dilations, structure="A").state_dict()
    with pytest.raises(CheckpointError, match="does not tell dilations"):
        recognise(state, "a.pth")
    settings = ["dilations=" + ",".join(map(str, dilations))]
    assert recognise(state, "a.pth", wanted_network("c3net", settings)).arguments["dilations"] == dilations


@pytest.mark.parametrize("dilations", [(1, 2, 1, 4), (1,)])
def test_ccc_blocks_of_erfnet_that_are_not_dilated_are_told(dilations):
    state = FAMILIES["erfnet"].build(classes=5, dilations=dilations, ccc=True).state_dict()
    assert recognise(state, "erf").arguments["dilations"] == dilations


def test_sizes_that_cannot_be_built_are_named_with_the_reason():
    state = {**C3Net(p=1, q=1, channels=(8, 24, 48)).state_dict(), "more": torch.zeros(1)}
    with pytest.raises(CheckpointError) as caught:
        recognise(state, "a.pth", wanted_network("c3net", ["channels=8,2,48", "dilations=2,3,7,13"]))
    message = str(caught.value)
    assert "no known network can have these sizes" in message
    assert "channels 8 2 48" in message and "cannot be built: groups must be a positive integer" in message


def test_erfnets_dilations_come_from_its_entry_or_from_the_user():
    state = FAMILIES["erfnet"].build(classes=5).state_dict()
    assert recognise(state, "erf").arguments["dilations"] == CCC1 * 2
    other = recognise(state, "erf", wanted_network("erfnet", ["dilations=1,2,1,4,1,8,1,16"]))
    assert other.arguments["dilations"] == (1, 2, 1, 4, 1, 8, 1, 16)


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        (
            "c3net",
            ["dilations=2,4,8,16"],
            "--arch asks for c3net (dilations 2 4 8 16), the checkpoint is of c3net: C3Net",
        ),
        ("espnet", [], "--arch asks for espnet (any arguments), the checkpoint is of c3net: C3Net"),
        ("drn-a50", [], "--arch asks for drn (variant A"),
    ],
)
def test_what_the_user_says_is_checked_against_the_file(name, settings, says):
    state = C3Net(p=1, q=1, channels=(8, 16, 32), dilations=CCC2).state_dict()
    with pytest.raises(CheckpointError) as caught:
        recognise(state, "a.pth", wanted_network(name, settings))
    assert says in str(caught.value)
    assert "dilations 2 3 7 13" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "settings", "message", "hint"),
    [
        ("resnet", [], "no network is called 'resnet'", "c3net, c3netv2, espnet"),
        ("espnet", ["width=3"], "espnet has no such argument", "decoder=published block=dense"),
        ("espnet", ["q"], "q: is no KEY=VALUE", "in front of --arch-args"),
        ("espnet", ["q=3", "p=1", "q=5"], "--arch-args q=5: q is there twice", "keep one of them"),
        ("espnet", ["q=3", "q=3"], "q is there twice", "keep one of them"),
        ("espnet", ["q=many"], "q=many: cannot be understood", "for example q=8"),
        ("erfnet", ["ccc=2"], "ccc=2: cannot be understood", "one of yes, no"),
        ("erfnet", ["dilations=2,x"], "dilations=2,x: cannot be understood", "dilations=2,4,8,16,2,4,8,16"),
        ("espnet", ["decoder=new"], "decoder=new: cannot be understood", "one of published, training"),
        ("drn", ["variant=B"], "variant=B: cannot be understood", "one of A, C"),
        ("c3net", ["structure=D"], "structure=D: cannot be understood", "one of A, B, C, CNL"),
        ("ccc2", ["dilations=2,4,8,16"], "--arch ccc2 has dilations=2,3,7,13", "dilations=2,4,8,16 channels=16,64,128"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_what_can(name, settings, message, hint):
    with pytest.raises(UsageError) as caught:
        wanted_network(name, settings)
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_settings_are_read_as_the_builder_wants_them():
    wanted = wanted_network("erfnet", ["ccc=yes", "dilations=2,4", "classes=11"])
    assert wanted.arguments == {"ccc": True, "dilations": (2, 4), "classes": 11}
    assert describe(wanted.arguments) == "ccc True, dilations 2 4, classes 11"


def test_foreign_state_dicts_are_refused_whatever_their_keys():
    generator = torch.Generator().manual_seed(5)
    keys = ["conv1.weight", "base.0.weight", "encoder.level2_0.d1.conv.0.weight", "fc.weight", "conv.conv.weight"]
    keys += ["classifier.conv.weight", "decoder.output_conv.weight", "encoder.layers.7.ccc.conv.0.weight", "x"]
    for trial in range(40):
        state = {}
        for key in keys:
            rank = int(torch.randint(0, 5, (1,), generator=generator))
            sizes = torch.randint(0, 9, (rank,), generator=generator).tolist()
            state[key] = torch.zeros(sizes)
        with pytest.raises(CheckpointError, match="no known network"):
            recognise(state, f"trial {trial}")


def test_another_kernel_makes_it_no_drn():
    named = next(each for each in NAMED if each.name == "drn-a34-imagenet")
    state = built(named, classes=3).state_dict()
    state["layer3.0.conv1.weight"] = torch.zeros(256, 128, 5, 5)
    with pytest.raises(CheckpointError, match="nearest: DRN-A34") as caught:
        recognise(state, "resnet")
    assert "1 keys differ" in str(caught.value)


def test_classifiers_are_marked_as_such():
    assert {each.family for each in NAMED if FAMILIES[each.family].task == CLASSIFICATION} == {"drn-classifier"}


def test_the_interpolation_of_drn_is_not_trained():
    module = FAMILIES["drn"].build(layers=(1,) * 8, classes=3)
    assert not module.up.weight.requires_grad
    assert count(module, (1, 3, 64, 64)).parameters == sum(
        tensor.numel() for name, tensor in module.named_parameters() if name != "up.weight"
    )
