internal import Checksum
package import FaceModel

extension ErasureKey {
    /// What an erased face is called in ledgers: SipHash-2-4-128 of its id. Without the key nobody can tell whether it
    /// is a certain face's, or whether those of two collections are of one.
    package func pseudonym(of face: FaceID) -> UInt128 {
        SipHash.hash128(key: (high, low)) { hash in
            hash.add(face.high)
            hash.add(face.low)
        }
    }

    /// What a face is called there that was removed because it had expired.
    package func pseudonym(ofExpired face: FaceID) -> UInt128 { Self.ofExpired(pseudonym(of: face)) }

    /// The same for the pseudonym of one that was deleted. It is another one, since an expiry counts in the ledger of
    /// the collection itself alone: in a copy a face may have expired that has been given more time in the original.
    package static func ofExpired(_ pseudonym: UInt128) -> UInt128 { ~pseudonym }
}
