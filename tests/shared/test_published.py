"""What was published for a network beside what was measured here: compared, or shown with the reason why not."""

import pytest

from ccc_jetson.contract import Published
from ccc_jetson.published import PAPER_TX2, Here, compared, published_lines, published_record
from tests.doubles.tiny_model import tiny_contract

SPEED, ACCURACY = Published("FPS", 16.4, PAPER_TX2), Published("mIoU %", 61.96, "Cityscapes, paper")
TX2 = Here("NVIDIA Jetson TX2 (6 cores)", True, 8.2)
PC = Here("Some CPU (2 cores)", False, 24.6)


def contract(*published, size=(1024, 512)):
    return tiny_contract(width=size[0], height=size[1])._replace(published=published)


def lines(*arguments):
    found = published_lines(*arguments)
    assert {name for name, _ in found} == {"published"}
    return [text for _, text in found]


def test_ccc2_at_the_papers_size_on_a_tx2_is_compared_with_its_own_speed_alone():
    assert lines(contract(ACCURACY, SPEED), TX2) == [
        "mIoU % 61.96 (Cityscapes, paper): not measured here",
        "FPS 16.4 (Jetson TX2, 1024x512, paper): 8.20 on NVIDIA Jetson TX2 (6 cores), 0.50 of it",
    ]
    accuracy, speed = published_record(contract(ACCURACY, SPEED), TX2)
    assert speed == {
        "figure": "FPS", "value": 16.4, "where": "Jetson TX2, 1024x512, paper", "measured": 8.2, "comparable": True,
        "why_not": "",
    }  # fmt: skip
    assert (accuracy["measured"], accuracy["comparable"], accuracy["why_not"]) == (None, False, "")


@pytest.mark.parametrize(
    "size, here, why_not",
    [
        ((512, 256), TX2, "the input is 512x256"),
        ((1024, 512), PC, "not a TX2"),
        ((512, 256), PC, "not a TX2, and the input is 512x256"),
    ],
)
def test_ccc2_at_another_size_or_elsewhere_is_not_compared(size, here, why_not):
    (found,) = compared(contract(SPEED, size=size), here)
    assert found.why_not == why_not
    assert found.to_json()["comparable"] is False
    assert str(found).endswith("not comparable with {:.2f} on {}: {}".format(here.fps, here.machine, why_not))


def test_a_pace_that_was_not_the_networks_is_not_compared():
    (found,) = compared(contract(SPEED), TX2._replace(why_not_speed="the frames came no faster"))
    assert found.why_not == "the frames came no faster"


def test_a_speed_from_elsewhere_is_shown_and_not_compared():
    (found,) = compared(contract(Published("FPS", 112.0, "NVIDIA Titan X, 1024x512")), TX2)
    assert found.why_not == "published for another machine or size"


def test_a_network_with_an_accuracy_alone_has_no_speed_to_reach():
    espnet = Published("mIoU %", 60.3, "Cityscapes test set, ESPNet's authors")
    assert lines(contract(espnet), TX2) == ["mIoU % 60.3 (Cityscapes test set, ESPNet's authors): not measured here"]


def test_a_network_with_nothing_published_is_said_to_have_nothing():
    assert lines(contract(size=(480, 360)), TX2) == ["no figures for this network"]
    assert published_record(contract(), TX2) == []


def test_all_frames_of_cityscapes_are_compared_in_points():
    here = TX2._replace(miou_percent=60.5, data_set="all frames of Cityscapes val")
    assert lines(contract(ACCURACY), here) == [
        "mIoU % 61.96 (Cityscapes, paper): 60.50 on all frames of Cityscapes val, -1.46 points"
    ]


@pytest.mark.parametrize(
    "where, why_not, reason",
    [
        ("Cityscapes, paper", "another data set", "another data set"),
        ("CamVid, its authors", "", "published for another data set"),
        ("Cityscapes test set, ESPNet's authors", "", "published for the test set"),
    ],
)
def test_other_frames_say_nothing_of_an_accuracy(where, why_not, reason):
    here = TX2._replace(miou_percent=40.2, data_set="CamVid", why_not=why_not)
    (found,) = compared(contract(Published("mIoU %", 61.96, where)), here)
    assert str(found) == "mIoU % 61.96 ({}): not comparable with 40.20 on CamVid: {}".format(where, reason)


def test_figures_of_another_kind_are_shown():
    assert lines(contract(Published("GFLOPs", 6.29, "paper, Table 2")), TX2) == [
        "GFLOPs 6.29 (paper, Table 2): not measured here"
    ]
