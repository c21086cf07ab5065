"""The KFP components of the steps that use Fairlead's resources: thin wrappers of `fairlead-pipelines`."""

# KFP is untyped, and reads outputs from a NamedTuple in the annotation itself.
# mypy: disable-error-code="untyped-decorator,valid-type"

from typing import NamedTuple

from kfp import dsl

IMAGE = "fairlead/pipelines:0.1.0"


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def train(
    job_name: str,
    kubeflow_run_name: str,
    kubeflow_run_id: str,
    namespace: str,
    trainer_image: str,
    script_config_map: str,
    script_file: str,
    script_arguments: list[str],
    dataset_uri: str,
    dataset_digest: str,
    models_uri: str,
    model_name: str,
    object_store_secret: str,
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    launcher: str = "Horovod",
    workers: int = 2,
    slots_per_worker: int = 1,
    gpus_per_worker: int = 0,
    cpu_per_worker: str = "500m",
    memory_per_worker: str = "512Mi",
    memory_limit_per_worker: str = "3Gi",
    min_workers: int = 0,
    max_workers: int = 0,
    checkpoint_uri: str = "",
    checkpoint_every_seconds: int = 60,
    restarts_after_failures: int = 1,
    deadline_seconds: int = 900,
) -> NamedTuple("Outputs", [("uri", str), ("digest", str), ("version", str)]):
    """Run a TrainingJob and return its model.

    Args:
        job_name: The name of the TrainingJob; empty for the run's own name.
        kubeflow_run_name: The run's own name.
        kubeflow_run_id: The run's ID. With it among its inputs the task is never found in a cache: the job of another
            run may be deleted.
        namespace: The namespace of the TrainingJob.
        trainer_image: The image of the workers.
        script_config_map: The ConfigMap with the training script.
        script_file: The script's key in that ConfigMap.
        script_arguments: The script's arguments.
        dataset_uri: The URI of the dataset artifact.
        dataset_digest: The digest that the dataset must have.
        models_uri: The URI below which models are published: as MODELS_URI/MODEL_NAME/VERSION.
        model_name: The name under which the model is published.
        object_store_secret: A Secret with the object store's AWS_… variables; `none` if pods get them otherwise.
        model: The trained model.
        metrics: The last metrics that the script reported.
        launcher: Horovod or Torchrun.
        workers: The number of worker pods.
        slots_per_worker: The number of training processes of each.
        gpus_per_worker: The number of GPUs of each.
        cpu_per_worker: The CPU that each requests.
        memory_per_worker: The memory that each requests.
        memory_limit_per_worker: The memory that each may use.
        min_workers: The fewest workers of an elastic job.
        max_workers: The most workers of an elastic job; 0 for a fixed number.
        checkpoint_uri: The URI below which the job publishes checkpoints; empty for none.
        checkpoint_every_seconds: The time between two checkpoints.
        restarts_after_failures: How many times the job is restarted.
        deadline_seconds: After how long the job fails.

    Returns:
        The URI, digest and version of the model.
    """
    # Longer than 40 lines: a component of KFP is one function, with a line for each parameter and its description.
    import json
    import signal
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        options = {
            "name": job_name or kubeflow_run_name, "namespace": namespace, "image": trainer_image,
            "code": script_config_map, "script": script_file, "launcher": launcher, "workers": workers,
            "slots": slots_per_worker, "gpus": gpus_per_worker, "cpu": cpu_per_worker, "memory": memory_per_worker,
            "memory-limit": memory_limit_per_worker, "min-workers": min_workers, "max-workers": max_workers,
            "checkpoint": checkpoint_uri, "checkpoint-seconds": checkpoint_every_seconds,
            "restarts": restarts_after_failures, "seconds": deadline_seconds, "dataset": dataset_uri,
            "dataset-digest": dataset_digest, "model-uri": f"{models_uri.rstrip('/')}/{model_name}",
            "store-secret": object_store_secret, "out": out,
        }  # fmt: skip
        flags = [f"--{name}={value}" for name, value in options.items()]
        flags += [f"--argument={word}" for word in script_arguments]
        # whatever ends this process, the command has to suspend the job before it ends
        process = subprocess.Popen(["fairlead-pipelines", "train", *flags])
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both
        exit_code = process.wait()
        if exit_code:
            raise SystemExit(f"fairlead-pipelines train exited with {exit_code}; its message is above")
        result = json.loads(out.read_text())
    place = {"uri": result["uri"], "digest": result["digest"]}
    Path(model.path).write_text(json.dumps(place))
    model.metadata.update(
        place, version=result["version"], training_job=options["name"], parent_uri=dataset_uri,
        parent_digest=dataset_digest, kubeflow_run=kubeflow_run_id,
    )  # fmt: skip
    for name, value in result["metrics"].items():
        metrics.log_metric(name, value)
    return (result["uri"], result["digest"], result["version"])


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def deploy(
    deployment_name: str,
    kubeflow_run_id: str,
    namespace: str,
    classifier_uri: str,
    classifier_digest: str,
    object_store_secret: str,
    served: dsl.Output[dsl.Model],
    summary: dsl.Output[dsl.Markdown],
    scaler_uri: str = "",
    scaler_digest: str = "",
    features_uri: str = "",
    features_digest: str = "",
    feature_set: str = "",
    feature_store_secret: str = "",
    features_image: str = "",
    features_time: str = "",
    deadline_seconds: int = 900,
) -> str:
    """Apply a ModelDeployment of a classifier behind a scaler or features; return its URL once it is ready.

    Args:
        deployment_name: The name of the ModelDeployment; its previous model is replaced.
        kubeflow_run_id: The run's ID. With it among its inputs the task is never found in a cache: the deployment may
            be deleted.
        namespace: The namespace of the ModelDeployment.
        classifier_uri: The URI of the classifier, an onnx-model artifact.
        classifier_digest: The digest that the classifier must have.
        object_store_secret: A Secret with the object store's AWS_… variables.
        served: The model that is served.
        summary: Where the model is served, and what it is.
        scaler_uri: The URI of a transformer before the classifier.
        scaler_digest: The digest that the transformer must have.
        features_uri: The URI of definitions of features that are looked up for the classifier.
        features_digest: The digest that the definitions must have.
        feature_set: Which of the definitions' sets.
        feature_store_secret: A Secret whose key feature_store.yaml says where the features are.
        features_image: The image that looks features up.
        features_time: Look up as if it were this time, to replay a history; empty for the present.
        deadline_seconds: After how long the step fails if the deployment is not ready.

    Returns:
        The URL of the deployment.
    """
    # Longer than 40 lines: a component of KFP is one function, with a line for each parameter and its description.
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        command = ["fairlead-pipelines", "deploy", "--name", deployment_name, "--namespace", namespace]
        if features_uri:
            command += ["--features", features_uri, "--features-digest", features_digest, "--feature-set", feature_set]
            command += ["--feature-store-secret", feature_store_secret, "--now", features_time]
            command += ["--features-image", features_image]
        else:
            command += ["--scaler", scaler_uri, "--scaler-digest", scaler_digest]
        command += ["--classifier", classifier_uri, "--classifier-digest", classifier_digest]
        command += ["--store-secret", object_store_secret, "--seconds", str(deadline_seconds), "--out", str(out)]
        exit_code = subprocess.run(command).returncode
        if exit_code:
            raise SystemExit(f"fairlead-pipelines deploy exited with {exit_code}; its message is above")
        url = str(json.loads(out.read_text())["url"])
    place = {"uri": classifier_uri, "digest": classifier_digest}
    Path(served.path).write_text(json.dumps(place))
    served.metadata.update(place, url=url, deployment=f"{namespace}/{deployment_name}", kubeflow_run=kubeflow_run_id)
    rows = {"URL": url, "ModelDeployment": f"{namespace}/{deployment_name}", "classifier": classifier_uri}
    rows |= {"digest": classifier_digest, "before it": features_uri or scaler_uri}
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    Path(summary.path).write_text("\n".join(["| | |", "|---|---|", *lines, ""]))
    return url


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def register(
    tracking_uri: str,
    registered_name: str,
    model_uri: str,
    model_digest: str,
    registered: dsl.Output[dsl.Model],
    alias: str = "",
) -> str:
    """Make a version of a model in MLflow's registry and return it; the model stays where it is.

    Credentials are MLflow's own variables, such as MLFLOW_TRACKING_TOKEN (kubernetes.use_secret_as_env).

    Args:
        tracking_uri: The URL of the MLflow server.
        registered_name: The registered model.
        model_uri: The URI of the model artifact, the version's source.
        model_digest: The digest of the model, the version's tag fairlead.digest.
        registered: The version.
        alias: An alias to set to the version; empty for none.

    Returns:
        The version's number.
    """
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        command = ["fairlead-pipelines", "register", "--tracking-uri", tracking_uri, "--name", registered_name]
        command += ["--model", model_uri, "--digest", model_digest, f"--alias={alias}", "--out", str(out)]
        exit_code = subprocess.run(command).returncode
        if exit_code:
            raise SystemExit(f"fairlead-pipelines register exited with {exit_code}; its message is above")
        version = str(json.loads(out.read_text())["version"])
    place = {"uri": model_uri, "digest": model_digest}
    Path(registered.path).write_text(json.dumps(place))
    registered.metadata.update(place, registered_model=registered_name, version=version, alias=alias)
    return version


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def require_valid_dataset(passed: bool, report_uri: str):  # type: ignore[no-untyped-def] # KFP accepts no None
    """Fail unless the dataset has passed its validation, whose report is an output of the step before."""
    if not passed:
        raise SystemExit(f"The dataset did not pass its validation: {report_uri}/result.html")


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def require_good_model(passed: bool, report_uri: str):  # type: ignore[no-untyped-def] # KFP accepts no None
    """Fail unless the model is good enough, by the card that is an output of the step before."""
    if not passed:
        raise SystemExit(f"The model is not good enough: {report_uri}/card.html")
