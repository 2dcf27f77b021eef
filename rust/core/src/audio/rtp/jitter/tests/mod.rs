mod anything;
mod order;
mod path;
mod pauses;
mod simulations;
