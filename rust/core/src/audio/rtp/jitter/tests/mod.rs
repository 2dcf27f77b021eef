mod anything;
mod flood;
mod order;
mod path;
mod pauses;
mod simulations;
