//! Pickles by hand, whole and hostile.

use super::writer::Writer;
use super::*;
use std::time::{Duration, Instant};

fn parse(bytes: &[u8]) -> Pickle {
    Pickle::parse(bytes).unwrap()
}

fn error(bytes: &[u8]) -> String {
    match Pickle::parse(bytes) {
        Ok(_) => panic!("{bytes:?} was read"),
        Err(error) => error.to_string(),
    }
}

/// A value in brackets, as Python would print it.
fn show(pickle: &Pickle, id: Id) -> String {
    let list = |ids: &[Id]| {
        let shown: Vec<String> = ids.iter().map(|id| show(pickle, *id)).collect();
        shown.join(", ")
    };
    match pickle.node(id) {
        Node::None => "None".into(),
        Node::Bool(value) => if *value { "True" } else { "False" }.into(),
        Node::Int(value) => value.to_string(),
        Node::BigInt(text) => text.to_string(),
        Node::Float(value) => format!("{value:?}"),
        Node::Text(text) => format!("{text:?}"),
        Node::Bytes(bytes) => format!("b{bytes:?}"),
        Node::List(items) => format!("[{}]", list(items)),
        Node::Tuple(items) => format!("({})", list(items)),
        Node::Set(items) => format!("{{{}}}", list(items)),
        Node::Dict(entries) => {
            let shown = entries.iter().map(|(key, value)| list(&[*key, *value]));
            format!("{{{}}}", shown.collect::<Vec<_>>().join("; "))
        }
        Node::Global { module, name } => list(&[*module, *name]),
        Node::Object(object) => format!("<{}>", list(&[object.class, object.args])),
        Node::Persistent(id) => format!("@{}", show(pickle, *id)),
    }
}

fn shown(bytes: &[u8]) -> String {
    let pickle = parse(bytes);
    show(&pickle, pickle.root())
}

#[test]
fn every_scalar_of_every_protocol_is_read() {
    assert_eq!(shown(b"I01\n."), "True");
    assert_eq!(shown(b"I-7\n."), "-7");
    assert_eq!(shown(b"L18446744073709551616L\n."), "18446744073709551616");
    assert_eq!(shown(b"F1.5\n."), "1.5");
    assert_eq!(shown(b"S'a\\x42'\n."), "\"aB\"");
    assert_eq!(shown(b"V\\u20ac\n."), "\"€\"");
    assert_eq!(shown(b"J\xff\xff\xff\xff."), "-1");
    assert_eq!(shown(b"K\xff."), "255");
    assert_eq!(shown(b"M\x01\x02."), "513");
    assert_eq!(shown(b"\x8a\x01\xff."), "-1");
    assert_eq!(shown(b"\x8b\x01\0\0\0\x05."), "5");
    assert_eq!(shown(b"G\x3f\xf8\0\0\0\0\0\0."), "1.5");
    assert_eq!(shown(b"U\x02hi."), "\"hi\"");
    assert_eq!(shown(b"T\x02\0\0\0\xff\xfe."), "b[255, 254]");
    assert_eq!(shown(b"\x8c\x02hi."), "\"hi\"");
    assert_eq!(shown(b"\x8d\x02\0\0\0\0\0\0\0hi."), "\"hi\"");
    assert_eq!(shown(b"C\x02hi."), "b[104, 105]");
    assert_eq!(shown(b"\x8e\x01\0\0\0\0\0\0\0h."), "b[104]");
    assert_eq!(shown(b"\x96\x01\0\0\0\0\0\0\0h."), "b[104]");
    assert_eq!(shown(b"\x80\x05\x95\x02\0\0\0\0\0\0\0N."), "None");
}

#[test]
fn every_container_is_read() {
    assert_eq!(shown(b"(K\x01K\x02t."), "(1, 2)");
    assert_eq!(shown(b"K\x01K\x02K\x03\x87."), "(1, 2, 3)");
    assert_eq!(shown(b"(K\x01K\x02l."), "[1, 2]");
    assert_eq!(shown(b"](K\x01K\x02eK\x03a."), "[1, 2, 3]");
    assert_eq!(shown(b"(K\x01K\x02d."), "{1, 2}");
    assert_eq!(shown(b"}(K\x01K\x02uK\x03Ns."), "{1, 2; 3, None}");
    assert_eq!(shown(b"\x8f(K\x01\x90."), "{1}");
    assert_eq!(shown(b"(K\x01\x91."), "{1}");
    assert_eq!(shown(b"K\x012\x86."), "(1, 1)");
    assert_eq!(shown(b"K\x01K\x020."), "1");
    assert_eq!(shown(b"K\x01(0."), "1");
    assert_eq!(shown(b"K\x01(K\x02K\x031."), "1");
    assert_eq!(shown(b"]p7\n0g7\n."), "[]");
    assert_eq!(shown(b"]q\x070h\x07."), "[]");
    assert_eq!(shown(b"]r\x07\0\0\xff0j\x07\0\0\xff."), "[]");
    assert_eq!(shown(b"]\x940h\x00."), "[]");
    assert_eq!(shown(b"P12\n."), "@\"12\"");
    assert_eq!(shown(b"K\x01Q."), "@1");
}

#[test]
fn calls_and_instances_are_noted_and_not_made() {
    let system = "<\"os\", \"system\", (\"ls\")>";
    assert_eq!(shown(b"cos\nsystem\n(S'ls'\ntR."), system);
    assert_eq!(shown(b"\x8c\x02os\x8c\x06system\x93(\x8c\x02lstR."), system);
    assert_eq!(shown(b"(S'ls'\nios\nsystem\n."), system);
    assert_eq!(shown(b"(cos\nsystem\nS'ls'\no."), system);
    assert_eq!(shown(b"cos\nsystem\n(S'ls'\nt\x81."), system);
    assert_eq!(shown(b"cos\nsystem\n(S'ls'\nt}\x92."), system);

    let pickle =
        parse(b"ccopy_reg\n_reconstructor\n(cm\nC\nc__builtin__\nobject\nNtR}S'a'\nI1\nsb.");
    let root = pickle.root();
    assert_eq!(pickle.class_name(root).as_deref(), Some("m.C"));
    assert!(pickle.call(root).is_none());
    let a = pickle.get(root, "a").unwrap();
    assert_eq!(pickle.as_i64(a), Some(1));
    assert_eq!(pickle.as_f64(a), Some(1.0));
    assert!(!pickle.is_none(a));
}

#[test]
fn known_constructors_are_data() {
    let given = b"ccollections\nOrderedDict\n(](](U\x01aK\x01eetR(U\x01aK\x02U\x01bK\x03u.";
    let pickle = parse(given);
    let root = pickle.root();
    let entries: Vec<_> = pickle.entries(root).unwrap().collect();
    assert_eq!(entries.len(), 3);
    assert_eq!(pickle.as_i64(pickle.get(root, "a").unwrap()), Some(2));
    assert_eq!(pickle.as_i64(pickle.get(root, "b").unwrap()), Some(3));

    let pickle = parse(b"ctorch\nSize\n(K\x02K\x03tR.");
    assert!(pickle.items(pickle.root()).is_none(), "two arguments");
    let pickle = parse(b"ctorch\nSize\nK\x02K\x03\x86\x85R.");
    assert_eq!(pickle.items(pickle.root()).map(<[Id]>::len), Some(2));

    let text = |bytes: &[u8]| {
        let pickle = parse(bytes);
        pickle.to_text(pickle.root()).map(|text| text.into_owned())
    };
    assert_eq!(
        text(b"ctorch\nfloat32\n.").as_deref(),
        Some("torch.float32")
    );
    assert_eq!(
        text(b"ctorch\ndevice\nU\x03cpu\x85R.").as_deref(),
        Some("cpu")
    );
    let cuda = b"ctorch\ndevice\nU\x04cudaK\x01\x86R.";
    assert_eq!(text(cuda).as_deref(), Some("cuda:1"));

    let pickle = parse(b"c_codecs\nencode\nX\x03\0\0\0a\xc3\xbfU\x06latin1\x86R.");
    assert_eq!(
        pickle.as_bytes(pickle.root()).as_deref(),
        Some(&b"a\xff"[..])
    );
    let pickle = parse(b"c__builtin__\nbytearray\nC\x01a\x85R.");
    assert_eq!(pickle.as_bytes(pickle.root()).as_deref(), Some(&b"a"[..]));
}

#[test]
fn errors_say_where_and_why() {
    let again = "Download or copy it again.";
    for (bytes, start) in [
        (&b""[..], "the pickle is cut off at byte 0"),
        (
            b"N",
            "the pickle is cut off at byte 1: it stops without its closing mark",
        ),
        (
            b"X\xff\xff\xff\xffab",
            "the pickle is cut off at byte 5: 4294967295 bytes should follow and 2 are left",
        ),
        (
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
            "the pickle is cut off at byte 9",
        ),
        (
            b"\x8b\xff\xff\xff\xff",
            "the pickle is damaged at byte 0: a length is negative",
        ),
        (
            b"T\xff\xff\xff\xff",
            "the pickle is damaged at byte 0: a length is negative",
        ),
        (
            b"\x80\x04\x95\xff\0\0\0\0\0\0\0N.",
            "the pickle is cut off at byte 11",
        ),
        (
            b"Iabc",
            "the pickle is cut off at byte 4: a line of text does not end",
        ),
        (
            b"Iabc\n.",
            "the pickle is damaged at byte 0: an integer has other characters",
        ),
        (
            b"Fabc\n.",
            "the pickle is damaged at byte 0: a number cannot be read",
        ),
        (
            b"Sabc\n.",
            "the pickle is damaged at byte 0: a string is not in quotes",
        ),
        (
            b"N\xff.",
            "the pickle is damaged at byte 1: 0xff is no instruction",
        ),
        (
            b".",
            "the pickle is damaged at byte 0: STOP finds no value on the stack",
        ),
        (
            b"R.",
            "the pickle is damaged at byte 0: REDUCE finds no value",
        ),
        (
            b"N(R.",
            "the pickle is damaged at byte 2: REDUCE finds no value",
        ),
        (
            b"t.",
            "the pickle is damaged at byte 0: TUPLE finds no mark",
        ),
        (
            b"]K\x01K\x02s.",
            "the pickle is damaged at byte 5: SETITEM finds no dict",
        ),
        (
            b"}K\x01a.",
            "the pickle is damaged at byte 3: APPEND finds no list",
        ),
        (
            b"(K\x01d.",
            "the pickle is damaged at byte 3: DICT finds a key without a value",
        ),
        (
            b"j\xff\xff\xff\xff.",
            "the pickle is damaged at byte 0: value 4294967295 of the memo",
        ),
        (
            b"NN\x93.",
            "the pickle is damaged at byte 2: a class is named by something but text",
        ),
    ] {
        let error = error(bytes);
        assert!(error.starts_with(start), "{error}");
        assert!(error.ends_with(again), "{error}");
    }
    for (bytes, part) in [
        (&b"\x80\x06N."[..], "protocol 6"),
        (b"\x82\x01.", "`copyreg` registry"),
        (b"\x97.", "out-of-band buffers"),
        (b"N\x98.", "out-of-band buffers"),
    ] {
        assert!(error(bytes).contains(part), "{}", error(bytes));
    }
}

#[test]
fn hostile_pickles_stay_small_and_quick() {
    let started = Instant::now();
    // A list that holds itself.
    let pickle = parse(b"]q\0h\0a.");
    assert_eq!(pickle.items(pickle.root()), Some(&[pickle.root()][..]));
    // A billion laughs: each list holds the one before it ten times.
    let mut laughs = Writer::new().raw(b"]q\0");
    for level in 0..100 {
        laughs = laughs.raw(b"](");
        for _ in 0..10 {
            laughs = laughs.raw(&[b'h', level]);
        }
        laughs = laughs.raw(&[b'e', b'q', level + 1]);
    }
    assert!(parse(&laughs.stop()).nodes().count() < 200);
    // Depth.
    let deep = [vec![b']'; 1_000_000], vec![b'a'; 999_999], vec![b'.']].concat();
    assert_eq!(parse(&deep).nodes().count(), 1_000_004);
    let deep = [vec![b'N'], vec![0x85; 1_000_000], vec![b'.']].concat();
    parse(&deep);
    let marks = vec![b'('; 1_000_000];
    assert!(error(&marks).contains("cut off"));
    // A long text that names many classes is not copied.
    let long = "a".repeat(1_000_000);
    let mut classes = Writer::new().text(&long).raw(b"q\0");
    for _ in 0..10_000 {
        classes = classes.raw(b"h\0h\0\x930");
    }
    parse(&classes.stop());
    // Junk behind the end is not looked at.
    assert_eq!(shown(b"N.\xff\xff\xff"), "None");
    assert!(started.elapsed() < Duration::from_secs(5));
}
