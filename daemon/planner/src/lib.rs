//! Pure: (Inventory, ModelFacts, Demand) to a Plan, or the reason why not.
