//! Forms as they come in: decoded exactly once, and never repaired.

/// The pairs of a form, as bytes: in which charset they are is said in them.
///
/// A stray `%` is an error: no signature could be about it.
pub(crate) fn decode(form: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    form.split(|b| *b == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut halves = pair.splitn(2, |b| *b == b'=');
            let name = unescaped(halves.next()?)?;
            Some((name, unescaped(halves.next().unwrap_or_default())?))
        })
        .collect()
}

fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => *other,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_once_and_repairs_nothing() {
        let pairs = decode("a=1+2&b=%E5%92%96&c&=d&&e=f%3D%2526&g=%C0".as_bytes()).unwrap();
        let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|(n, v)| (&n[..], &v[..])).collect();
        let expected: [(&[u8], &[u8]); 6] = [
            (b"a", b"1 2"),
            (b"b", "咖".as_bytes()),
            (b"c", b""),
            (b"", b"d"),
            (b"e", b"f=%26"),
            (b"g", b"\xc0"),
        ];
        assert_eq!(pairs, expected);
        for bad in ["a=%", "a=%E", "a=%zz", "%g0=1"] {
            assert!(decode(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
