"""Names that pipelines, their steps and the installation share."""

STORE_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION")
SUITES = "expectation-suites"
"""The ConfigMap with expectation suites, in the namespace of the steps."""
SUITES_PATH = "/etc/fairlead/expectation-suites"
"""Where the step `validate` looks for them."""
