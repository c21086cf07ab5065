"""Names that pipelines, their steps and the installation share."""

STORE_VARIABLES = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_REGION",
    "AWS_DEFAULT_REGION",
)  # fmt: skip
NO_SECRET = "none"
"""The name that stands for no Secret: Kubeflow Pipelines passes names on as they are, and an empty one is invalid."""
SUITES = "expectation-suites"
"""The ConfigMap with expectation suites, in the namespace of the steps."""
SUITES_PATH = "/etc/fairlead/expectation-suites"
"""Where the step `validate` looks for them."""
