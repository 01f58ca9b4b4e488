package import NIOCore
import NIOSSL

extension Channel {
    /// Closes without a goodbye of TLS: whoever does not answer it would keep the connection for five seconds more. To
    /// be called on the channel's loop.
    package func closeAtOnce() {
        if let tls = try? pipeline.syncOperations.context(handlerType: NIOSSLServerHandler.self) {
            tls.close(promise: nil)
        } else {
            close(promise: nil)
        }
    }
}
