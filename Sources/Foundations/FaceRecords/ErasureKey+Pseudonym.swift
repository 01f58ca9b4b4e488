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
}
