//! The language alone: text, tokens, tree, checked tree; positions kept.
