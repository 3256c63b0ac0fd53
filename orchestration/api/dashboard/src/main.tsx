document.title="y"
