PARTS = ["head", "tail"]
