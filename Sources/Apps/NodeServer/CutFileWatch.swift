import Glibc

/// Says why the process ends when a page of a data file cannot be read any more: the file was cut while it was open, or
/// its disk gives nothing. Whoever starts the process again finds what is missing, and the others serve.
enum CutFileWatch {
    static func begin() {
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_handler = { _ in
            // Nothing else may be done here, whatever the thread was about.
            let text: StaticString = """
                mien: a data file cannot be read: it was cut short while it was open, or its disk fails. This process \
                ends; when it is started again it looks what is missing.

                """
            text.withUTF8Buffer { _ = unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
            _exit(74)
        }
        _ = unsafe sigaction(SIGBUS, &action, nil)
    }
}
