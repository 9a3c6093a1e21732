"""Every kernel against its definition, eager and compiled, the peers, and the floor of this machine; on the CPU, and on a GPU where there is one.

    python3 tools/course.py bench kernel_speed        (python3 benchmarks/kernel_speed.py --quick: tiny sizes, one round, nothing written)

The same script at two sizes: reduced on a CPU (one thread for every way), the sizes of the course on a GPU. In the same run ours is compared with
the definition on the same random numbers; where they disagree no time is printed. The floor is the larger of the bytes over this machine's measured
copy bandwidth and the operations over its measured matrix rate (float32 on a CPU, bfloat16 on a GPU).
"""
import argparse
import importlib.util
import os
import warnings

import torch

import kernel_cases_rbm
from harness import machine, publish
from kernel_timing import best, measure, measured_floor, table

COLUMNS = ["work", "way", "time", "ours is faster by", "of the floor", "memory"]


def all_cases(device: torch.device, quick: bool) -> list:
    found = kernel_cases_rbm.cases(device, quick)
    if importlib.util.find_spec("kernel_cases_vq"):
        import kernel_cases_vq
        found += kernel_cases_vq.cases(device, quick)
    return found


def run(device: torch.device, quick: bool) -> None:
    floor = measured_floor(device, quick)
    results = []
    for case in all_cases(device, quick):
        results.append(measure(case, device, **({"seconds": 0.0, "rounds": 1} if quick else {})))
        print(*(" | ".join(row) for row in table(results[-1:], floor)), sep="\n", flush=True)
    if quick:
        return
    floor = best(floor, measured_floor(device, quick))  # the machine may have been busy at first
    load = {"others' load while measuring": f"{max(0.0, os.getloadavg()[1] - 1):.1f} processes"} if hasattr(os, "getloadavg") else {}
    peers = ("rbms", "learnergy", "vector-quantize-pytorch")
    about = machine("triton", *peers) if device.type == "cuda" else machine(*peers)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "one CPU thread"
    raw = {"bandwidth": floor.bandwidth, "rate": floor.rate, "seconds": {r.case.name: r.seconds for r in results}}
    publish(f"kernel_speed_{'gpu' if device.type == 'cuda' else 'cpu'}", f"Kernels on {where}", COLUMNS, table(results, floor), about=about | {"device": where} | load, raw=raw,
            notes=f"Median of paired rounds. Measured here: copy {floor.bandwidth / 1e9:.0f} GB/s, matrix product {floor.rate / 1e12:.3g} TFLOP/s. "
                  "Ours agreed with the definition in this run wherever a time stands.")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one round, nothing written")
    parser.add_argument("--device", choices=("cpu", "cuda"), default=None, help="default: the CPU, and then a GPU where there is one")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    devices = [arguments.device] if arguments.device else ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    for device in devices:
        run(torch.device(device), arguments.quick)


if __name__ == "__main__":
    main()
