"""One device, many devices of a machine, or many machines."""

import json
import os

import tensorflow as tf

from osmn_recurrent.errors import InputError


def make_strategy(name):
    """The `tf.distribute.Strategy` of a name.

    Must be called before TensorFlow does anything else.

    Args:
        name: "one": the default device; "mirrored": all GPUs of this
            machine, or all its logical CPUs where there is none;
            "multiworker": the machines that the variable `TF_CONFIG` lists.

    Returns:
        A strategy; make the network and its optimiser in its `scope()`.

    Raises:
        InputError: `TF_CONFIG` is missing or makes no sense.
    """
    if name == "one":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        devices = [device.name for device in tf.config.list_logical_devices(kind)]
        return tf.distribute.MirroredStrategy(devices)
    _check_tf_config()
    return tf.distribute.MultiWorkerMirroredStrategy()


def is_chief(name):
    """Whether this process writes the files: the first worker, or the only one.

    Unlike `worker_of` it needs no strategy, whose making waits for the others.

    Args:
        name: of a strategy.

    Raises:
        InputError: see `make_strategy`.
    """
    return name != "multiworker" or _check_tf_config() == 0


def _check_tf_config():
    """This worker's index."""
    example = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": ...}'
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        workers = config["cluster"]["worker"]
        if not 0 <= config["task"]["index"] < len(workers):
            raise ValueError("the task's index is that of no worker")
        if set(config["cluster"]) != {"worker"}:
            raise ValueError("the cluster may have workers only")
        return config["task"]["index"]
    except KeyError as error:
        raise InputError(
            f"--strategy=multiworker needs the variable TF_CONFIG ({error} is "
            f"missing); set it on every machine, such as {example}."
        ) from None
    except (ValueError, TypeError) as error:
        raise InputError(
            f"the variable TF_CONFIG makes no sense ({error}); set it on every "
            f"machine, such as {example}."
        ) from None


def worker_of(strategy):
    """`(index, count)` of this process among the strategy's processes."""
    resolver = strategy.cluster_resolver
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 0, 1
    return resolver.task_id, len(resolver.cluster_spec().job_tasks("worker"))


def sum_over_workers(strategy, values):
    """Sum of an array that every process has; all processes must call it.

    Args:
        strategy: `tf.distribute.Strategy`.
        values: float array, one per process.

    Returns:
        float32 array, the same for all processes.
    """
    _, count = worker_of(strategy)
    if count == 1:
        return tf.constant(values, tf.float32).numpy()
    local = strategy.num_replicas_in_sync // count

    @tf.function
    def add(array):
        parts = strategy.run(lambda: array / local)
        return strategy.reduce(tf.distribute.ReduceOp.SUM, parts, axis=None)

    return add(tf.constant(values, tf.float32)).numpy()


def distribute(strategy, make_dataset, replicas_batch):
    """A data set that gives each device its rows of every batch.

    Args:
        strategy: `tf.distribute.Strategy`.
        make_dataset: function of `shard=(index, count)`, as
            `pipeline.make_dataset`.
        replicas_batch: rows per device.

    Returns:
        An iterable for `strategy.run`.
    """
    if strategy.num_replicas_in_sync == 1:
        return make_dataset(shard=(0, 1))

    def own(context):
        shard = context.input_pipeline_id, context.num_input_pipelines
        return make_dataset(shard=shard).rebatch(replicas_batch).prefetch(2)

    return strategy.distribute_datasets_from_function(own)
