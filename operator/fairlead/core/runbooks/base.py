"""What a runbook is, and what several of them say."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Runbook:
    """A reason: what it means, and what to do."""

    meaning: str
    action: str
    """Empty if nothing has to be done."""


LOGS = "Read its log with `fairlead logs JOB`; the condition has the last lines."
STORE = (
    "Look at the URI, the Secret `artifact-store` of the namespace (for pods) and of the operator's, and at "
    "`AWS_ENDPOINT_URL`. The operator tries again by itself."
)
ADMIN = "Ask the administrator, or name something that the message allows."
VALIDATE = "Run `fairlead-data-validation --dataset URI --digest sha256:… --suite FILE`."

VALIDATION: dict[str, Runbook] = {
    "ValidationMissing": Runbook("Nobody has validated this dataset, and it is required.", VALIDATE),
    "ValidationFailed": Runbook(
        "The dataset has been validated and does not meet the expectations that the message names.",
        "Mend the data and publish them at a new URI, or correct the expectations and validate again.",
    ),
    "ValidationUnreadable": Runbook("The validation result cannot be read.", STORE),
    "InvalidValidationResult": Runbook("What is at the result's URI is no validation of this dataset.", VALIDATE),
    "ValidationNotSigned": Runbook(
        "No key of the spec has signed the validation result: whoever may write to the store could have written it.",
        "Validate again where the key is (`FAIRLEAD_SIGNING_KEY_FILE`), or look at the result and sign it with "
        "`fairlead-artifacts sign URI --key FILE`. The message names the keys.",
    ),
    "OtherSuiteValidated": Runbook("The dataset was validated with other expectations than `suite` names.", VALIDATE),
}
"""For datasets, wherever they are judged."""
