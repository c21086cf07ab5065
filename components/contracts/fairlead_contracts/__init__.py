"""The formats that Fairlead programs exchange, one module per contract (docs/decisions/0007-contracts.md).

Import the module that you need: `fairlead_contracts.tensors` and `fairlead_contracts.inference` load numpy, the others
do not.
"""
