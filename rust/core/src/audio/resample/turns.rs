//! Interleaving and deinterleaving of streams.

/// Deinterleaves samples into streams of `stride` samples, padded with silence.
pub fn split(input: &[f32], turns: usize, stride: usize, streams: &mut Vec<f32>) {
    streams.resize(turns * stride, 0.0);
    // A constant number of streams lets the compiler vectorize the loop.
    match turns {
        1 => split_known::<1>(input, stride, streams),
        2 => split_known::<2>(input, stride, streams),
        3 => split_known::<3>(input, stride, streams),
        4 => split_known::<4>(input, stride, streams),
        6 => split_known::<6>(input, stride, streams),
        _ => {
            for (turn, stream) in streams.chunks_exact_mut(stride).enumerate() {
                let samples = input.iter().skip(turn).step_by(turns).copied();
                // Endless silence, which pads the stream to its length.
                let samples = samples.chain(std::iter::repeat(0.0));
                for (place, sample) in stream.iter_mut().zip(samples) {
                    *place = sample;
                }
            }
        }
    }
}

fn split_known<const TURNS: usize>(input: &[f32], stride: usize, streams: &mut [f32]) {
    let (rounds, rest) = input.as_chunks::<TURNS>();
    for (turn, stream) in streams.chunks_exact_mut(stride).enumerate() {
        let (samples, silence) = stream.split_at_mut(rounds.len());
        for (place, round) in samples.iter_mut().zip(rounds) {
            *place = round[turn];
        }
        silence.fill(0.0);
        if let (Some(place), Some(sample)) = (silence.first_mut(), rest.get(turn)) {
            *place = *sample;
        }
    }
}

/// Interleaves streams of `stride` samples until `out` is full.
pub fn join(streams: &[f32], stride: usize, turns: usize, out: &mut [f32]) {
    match turns {
        1 => out.copy_from_slice(&streams[..out.len()]),
        2 => join_known::<2>(streams, stride, out),
        3 => join_known::<3>(streams, stride, out),
        4 => join_known::<4>(streams, stride, out),
        6 => join_known::<6>(streams, stride, out),
        _ => {
            for (turn, stream) in streams.chunks_exact(stride).enumerate() {
                let places = out.iter_mut().skip(turn).step_by(turns);
                for (place, sample) in places.zip(stream) {
                    *place = *sample;
                }
            }
        }
    }
}

fn join_known<const TURNS: usize>(streams: &[f32], stride: usize, out: &mut [f32]) {
    let (rounds, rest) = out.as_chunks_mut::<TURNS>();
    let all: [&[f32]; TURNS] = std::array::from_fn(|turn| &streams[turn * stride..][..stride]);
    let full = all.map(|stream| &stream[..rounds.len()]);
    for (n, round) in rounds.iter_mut().enumerate() {
        *round = full.map(|stream| stream[n]);
    }
    for (place, stream) in rest.iter_mut().zip(all) {
        *place = stream[rounds.len()];
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "samples are moved, not computed")]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_split_is_joined(
            turns in 1_usize..9,
            input in prop::collection::vec(-1.0_f32..1.0, 0..100),
        ) {
            let stride = input.len() / turns + 2;
            let mut streams = vec![9.0; 7];
            split(&input, turns, stride, &mut streams);
            prop_assert_eq!(streams.len(), turns * stride);
            for (n, sample) in streams.iter().enumerate() {
                let (turn, round) = (n / stride, n % stride);
                let expected = input.get(round * turns + turn).copied().unwrap_or(0.0);
                prop_assert_eq!(*sample, expected);
            }
            let mut back = vec![9.0; input.len()];
            join(&streams, stride, turns, &mut back);
            prop_assert_eq!(back, input);
        }
    }
}
