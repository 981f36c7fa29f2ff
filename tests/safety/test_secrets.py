import pytest

from unblur.safety.secrets import masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pa@ss@host:5000/x", "https://***@host:5000/x"),
        ("postgresql+psycopg2://u:p@db/mlflow", "postgresql+psycopg2://***@db/mlflow"),
        ("no answer from http://u:p@a, then http://u:q@b.", "no answer from http://***@a, then http://***@b."),
        ("postgresql://db/mlflow?user=u&password=p&x=1", "postgresql://db/mlflow?user=u&password=***&x=1"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_what_is_secret_in_an_address_is_not_shown(text, shown):
    assert masked(text) == shown
