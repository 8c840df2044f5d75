//! What is told of values: small functions that put together the shapes of bodies and answers.
//!
//! Place in the flow: **here** → `data` (named shapes), `table` (routes) → [`super::document`].

use utoipa::openapi::schema::{AdditionalProperties, AnyOf, ArrayItems, Schema, SchemaType, Type};
use utoipa::openapi::{Array, Object, Ref, RefOr};

/// A shape.
pub type Shape = RefOr<Schema>;

/// Anything.
pub fn any() -> Shape {
    let mut own = Object::new();
    own.schema_type = SchemaType::AnyValue;
    own.into()
}

fn of(kind: Type) -> Shape {
    Object::with_type(kind).into()
}

/// A text.
pub fn text() -> Shape {
    of(Type::String)
}

/// A number.
pub fn number() -> Shape {
    of(Type::Number)
}

/// A number without fraction.
pub fn whole() -> Shape {
    of(Type::Integer)
}

/// Yes or no.
pub fn boolean() -> Shape {
    of(Type::Boolean)
}

/// A text that has one of these forms.
pub fn choice(forms: &[&str]) -> Shape {
    let mut own = Object::with_type(Type::String);
    own.enum_values = Some(forms.iter().map(|form| (*form).into()).collect());
    own.into()
}

/// A text that matches an expression.
pub fn pattern(expression: &str) -> Shape {
    let mut own = Object::with_type(Type::String);
    own.pattern = Some(expression.to_owned());
    own.into()
}

/// A list of equal things.
pub fn list(of: Shape) -> Shape {
    RefOr::T(Schema::Array(Array::new(of)))
}

/// An object whose keys are data.
pub fn map(of: Shape) -> Shape {
    let mut own = Object::new();
    own.additional_properties = Some(Box::new(AdditionalProperties::RefOr(of)));
    own.into()
}

/// An object with fields; a name that ends in `?` may be absent. Others may be there too.
pub fn object(fields: &[(&str, Shape)]) -> Shape {
    let mut own = Object::new();
    for (name, shape) in fields {
        let plain = name.trim_end_matches('?');
        own.properties.insert(plain.to_owned(), shape.clone());
        if plain == *name {
            own.required.push(plain.to_owned());
        }
    }
    own.into()
}

/// A list with one place for each of these, and no more.
pub fn tuple(places: impl IntoIterator<Item = Schema>) -> Shape {
    let mut own = Array::new(any());
    own.prefix_items = places.into_iter().collect();
    own.items = ArrayItems::False;
    own.min_items = Some(own.prefix_items.len());
    RefOr::T(Schema::Array(own))
}

/// One of several.
pub fn either(shapes: impl IntoIterator<Item = Shape>) -> Shape {
    let mut own = AnyOf::new();
    own.items = shapes.into_iter().collect();
    RefOr::T(Schema::AnyOf(own))
}

/// A shape that stands in the document under a name.
pub fn named(name: &str) -> Shape {
    Ref::from_schema_name(name).into()
}

/// A shape itself; only for those that are no reference.
pub fn schema(shape: Shape) -> Schema {
    match shape {
        RefOr::T(schema) => schema,
        // A place of a tuple that is a reference: the same as a choice of one.
        RefOr::Ref(own) => schema(either([RefOr::Ref(own)])),
    }
}
