package sqlite

func crashChildIfAsked() {}
