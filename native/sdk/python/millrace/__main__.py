from millrace.worker import main

main()
