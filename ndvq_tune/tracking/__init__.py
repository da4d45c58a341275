"""Following a search in MLflow: a view made from records, which can be made again at any time."""

import os

# MLflow reads these when it is imported, or when it first speaks; what the user has set stands. Its own retries go on
# for minutes, and repeat a request whose answer was lost: a run would be there twice. The tracker catches up by itself.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # one for each small file
}.items():
    os.environ.setdefault(_name, _value)
