use super::*;

#[test]
fn numbers_are_kept_by_id_and_bounded() {
    let mut memory = Memory::default();
    for id in 0..100 {
        memory.set(id, i64::from(id) * 3);
    }
    assert_eq!(memory.entries().len(), MAX_PATHS);
    assert_eq!((memory.of(5, -1), memory.of(50, -1)), (15, -1));
    memory.forget(5);
    memory.forget(77);
    memory.set(50, 1);
    assert_eq!((memory.of(5, -1), memory.of(6, -1), memory.of(50, -1)), (-1, 18, 1));
}
