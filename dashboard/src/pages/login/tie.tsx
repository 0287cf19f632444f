import { Anchor, Button, PasswordInput, TextInput } from '@mantine/core'
import { useState } from 'react'
import { useLocation } from 'wouter'
import { useAction } from '~/api/action'
import { finishOidc, type Returned } from '~/api/login'
import { Door } from '~/layout/door'
import { ErrorBox } from '~/parts/ErrorBox'

interface Props {
  /** With what she came back from the provider. */
  came: Returned
  onLeave: () => void
}

/** Who logs in elsewhere for the first time and has a password here shows it once; from then on the two are one. */
export function Tie({ came, onLeave }: Props) {
  const [, go] = useLocation()
  const [user, setUser] = useState('')
  const [password, setPassword] = useState('')
  const tie = useAction(() => finishOidc(came, user.trim(), password), { quiet: true, then: (next) => go(next, { replace: true }) })
  const foot = (
    <Anchor component="button" type="button" size="sm" onClick={onLeave}>
      Log in another way
    </Anchor>
  )
  return (
    <Door title="One more thing, once" about="There is a user of your e-mail address who has a password here. Show it, and from now on your login elsewhere opens that user." foot={foot}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void tie.run()
        }}
      >
        <ErrorBox error={tie.error} />
        <TextInput label="Name or e-mail address" autoComplete="username" required withAsterisk={false} value={user} onChange={(event) => setUser(event.currentTarget.value)} />
        <PasswordInput label="Password" autoComplete="current-password" required withAsterisk={false} value={password} onChange={(event) => setPassword(event.currentTarget.value)} visibilityToggleButtonProps={{ 'aria-label': 'Show the password' }} />
        <Button type="submit" size="sm" loading={tie.busy}>
          Tie and log in
        </Button>
      </form>
    </Door>
  )
}
