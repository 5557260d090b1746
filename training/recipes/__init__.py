"""The recipes that ship with Whichone, and how a recipe is read: YAML, overrides, `training.recipe.Recipe`."""
