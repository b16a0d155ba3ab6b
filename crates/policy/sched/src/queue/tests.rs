use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn the_queue_is_the_least_of_a_round_above_the_minimum() {
    let mut queue = Queue::new();
    assert_eq!(queue.standing(ms(20)), Duration::ZERO);
    for (round, sample) in [(1, 45), (1, 40), (1, 60), (2, 70)] {
        queue.on_sample(round, ms(sample));
    }
    assert_eq!(queue.standing(ms(20)), ms(20));
    queue.on_sample(2, ms(25));
    assert_eq!(queue.standing(ms(20)), ms(5), "less in the present round counts at once");
    queue.on_sample(3, ms(90));
    queue.on_sample(4, ms(80));
    assert_eq!(queue.standing(ms(20)), ms(60));
    queue.reset();
    assert_eq!(queue.standing(ms(20)), Duration::ZERO);
}

#[test]
fn jitter_follows_the_distance_from_the_mean() {
    let mut jitter = Jitter::new();
    for _ in 0..40 {
        jitter.on_sample(ms(24), ms(20));
    }
    assert!((ms(3)..=ms(4)).contains(&jitter.sigma()));
}
