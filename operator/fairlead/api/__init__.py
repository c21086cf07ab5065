"""The custom resources as pydantic models; the CRDs are generated from them."""
