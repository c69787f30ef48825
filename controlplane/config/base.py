"""What every section of the document has in common: strict types, no unknown keys, frozen."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

_OWN = "mistake."


def mistake(code: str, message: str, hint: str | None = None) -> PydanticCustomError:
    """An error of a validator, for :mod:`controlplane.config.explain` to turn into a problem."""
    return PydanticCustomError(f"{_OWN}{code}", "{message}", {"message": message, "hint": hint})


def own_code(error_type: str) -> str | None:
    """The code that :func:`mistake` was given, or ``None`` for one of pydantic's own errors."""
    return error_type.removeprefix(_OWN) if error_type.startswith(_OWN) else None


class Section(BaseModel):
    """One mapping of the document."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        validate_default=False,
        hide_input_in_errors=True,
        regex_engine="rust-regex",
    )


class OneOf(Section):
    """A section in which exactly one of several keys stands."""

    ONE_OF: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="wrap")
    @classmethod
    def _exactly_one(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Checked beside the fields and not after them, so that both kinds of mistakes are named at once."""
        wrong = cls._miscounted(value)
        try:
            section = handler(value)
        except ValidationError as error:
            if wrong is None:
                raise
            found = [_again(details) for details in error.errors(include_url=False)]
            raise ValidationError.from_exception_data(error.title, [*found, wrong]) from None
        if wrong is not None:
            raise ValidationError.from_exception_data(cls.__name__, [wrong])
        return section

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        written = handler.resolve_ref_schema(handler(schema))
        written["oneOf"] = [{"required": [key]} for key in cls.ONE_OF]
        return written

    @classmethod
    def _miscounted(cls, value: Any) -> InitErrorDetails | None:
        if not isinstance(value, dict):
            return None
        given = [key for key in cls.ONE_OF if key in value]
        unknown = any(key not in cls.model_fields for key in value)
        if len(given) == 1 or (not given and unknown):  # an unknown key is probably the one, misspelt
            return None
        what = f"{' and '.join(given)} exclude each other" if given else "something to choose is missing"
        return InitErrorDetails(
            type=mistake("one-of", what, f"write exactly one of {', '.join(cls.ONE_OF)}"), loc=(), input=None
        )


def _again(details: Any) -> InitErrorDetails:
    """An error as it was, for raising it together with others."""
    context = details.get("ctx", {})
    kind = details["type"]
    if own_code(kind) is not None:
        kind = mistake(own_code(kind) or "", context["message"], context["hint"])
    return InitErrorDetails(type=kind, loc=details["loc"], input=details["input"], ctx=context)
